/// Placeholder of the room IngestService, replaced by its first file.
enum IngestServiceRoom {}
