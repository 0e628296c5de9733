/// Placeholder of the room PrivateFiles, replaced by its first file.
enum PrivateFilesRoom {}
