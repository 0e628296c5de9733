/// Placeholder of the room Plans, replaced by its first file.
enum PlansRoom {}
