/// Placeholder of the room Money, replaced by its first file.
enum MoneyRoom {}
