/// Placeholder of the room Drafts, replaced by its first file.
enum DraftsRoom {}
