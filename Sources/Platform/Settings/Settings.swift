/// Placeholder of the room Settings, replaced by its first file.
enum SettingsRoom {}
