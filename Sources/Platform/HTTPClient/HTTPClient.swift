/// Placeholder of the room HTTPClient, replaced by its first file.
enum HTTPClientRoom {}
