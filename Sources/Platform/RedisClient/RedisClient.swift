/// Placeholder of the room RedisClient, replaced by its first file.
enum RedisClientRoom {}
