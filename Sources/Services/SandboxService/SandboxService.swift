/// Placeholder of the room SandboxService, replaced by its first file.
enum SandboxServiceRoom {}
