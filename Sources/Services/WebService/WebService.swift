/// Placeholder of the room WebService, replaced by its first file.
enum WebServiceRoom {}
