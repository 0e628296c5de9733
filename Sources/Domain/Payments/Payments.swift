/// Placeholder of the room Payments, replaced by its first file.
enum PaymentsRoom {}
