/// Placeholder of the room Subprocess, replaced by its first file.
enum SubprocessRoom {}
