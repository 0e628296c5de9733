/// Placeholder of the room CinetPay, replaced by its first file.
enum CinetPayRoom {}
