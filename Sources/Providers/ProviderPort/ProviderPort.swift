/// Placeholder of the room ProviderPort, replaced by its first file.
enum ProviderPortRoom {}
