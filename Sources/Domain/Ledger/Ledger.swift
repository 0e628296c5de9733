/// Placeholder of the room Ledger, replaced by its first file.
enum LedgerRoom {}
