/// Placeholder of the room PaymentBackend, replaced by its first file.
enum PaymentBackendRoom {}
