/// Placeholder of the room WorkerService, replaced by its first file.
enum WorkerServiceRoom {}
