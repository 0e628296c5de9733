/// Placeholder of the room Notifications, replaced by its first file.
enum NotificationsRoom {}
