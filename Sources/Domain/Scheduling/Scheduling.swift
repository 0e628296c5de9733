/// Placeholder of the room Scheduling, replaced by its first file.
enum SchedulingRoom {}
