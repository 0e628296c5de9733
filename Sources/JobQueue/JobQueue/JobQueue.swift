/// Placeholder of the room JobQueue, replaced by its first file.
enum JobQueueRoom {}
