/// Placeholder of the room Invoicing, replaced by its first file.
enum InvoicingRoom {}
