-- Double entry in one row: what is debited is credited, so an imbalance cannot be stored. Append-only by trigger.
CREATE TABLE ledger_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    payment TEXT NOT NULL,
    memo TEXT NOT NULL,
    source_key TEXT NOT NULL UNIQUE,
    CHECK (debit <> credit)
) STRICT;
CREATE INDEX ledger_entries_payment ON ledger_entries (payment);
CREATE TRIGGER ledger_entries_no_update BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only: post a correcting entry'); END;
CREATE TRIGGER ledger_entries_no_delete BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only: post a correcting entry'); END;
