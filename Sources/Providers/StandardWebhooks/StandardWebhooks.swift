/// Placeholder of the room StandardWebhooks, replaced by its first file.
enum StandardWebhooksRoom {}
