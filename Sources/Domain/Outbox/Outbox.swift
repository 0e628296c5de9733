/// Placeholder of the room Outbox, replaced by its first file.
enum OutboxRoom {}
