/// Placeholder of the room Database, replaced by its first file.
enum DatabaseRoom {}
