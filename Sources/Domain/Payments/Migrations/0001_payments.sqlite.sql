-- A payment is what is owed; an attempt is one try at one provider; an event is what a provider said; a fact is what we
-- hold for true of it. State is a fold over the facts, so their order cannot matter.
CREATE TABLE payments_payments (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    subject TEXT NOT NULL,
    description TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    state TEXT NOT NULL,
    captured INTEGER NOT NULL DEFAULT 0,
    refunded INTEGER NOT NULL DEFAULT 0,
    customer_name TEXT NOT NULL,
    customer_email TEXT,
    customer_phone TEXT,
    language TEXT NOT NULL CHECK (language IN ('fr', 'en')),
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    paid_at INTEGER
) STRICT;
CREATE INDEX payments_payments_subject ON payments_payments (purpose, subject);
CREATE INDEX payments_payments_state ON payments_payments (state, created_at);

CREATE TABLE payments_attempts (
    id TEXT PRIMARY KEY,
    payment TEXT NOT NULL REFERENCES payments_payments (id),
    number INTEGER NOT NULL CHECK (number > 0),
    provider TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('sandbox', 'live')),
    method TEXT,
    open INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)),
    payment_url TEXT,
    qr_code TEXT,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    webhook_received_at INTEGER,
    next_check_at INTEGER,
    checks INTEGER NOT NULL DEFAULT 0,
    error_code TEXT,
    error_text TEXT,
    last_answer TEXT,
    UNIQUE (payment, number)
) STRICT;
CREATE INDEX payments_attempts_due ON payments_attempts (next_check_at) WHERE open = 1;

-- Every reference ever given or got, whoever coined it, leads to its attempt.
CREATE TABLE payments_references (
    provider TEXT NOT NULL,
    value TEXT NOT NULL,
    kind TEXT NOT NULL,
    attempt TEXT NOT NULL REFERENCES payments_attempts (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (provider, value)
) STRICT;
CREATE INDEX payments_references_attempt ON payments_references (attempt);

-- The raw archive: exact bytes, kept whatever becomes of the event.
CREATE TABLE payments_events (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    mode TEXT NOT NULL,
    trust TEXT NOT NULL,
    type TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL,
    headers TEXT NOT NULL,
    matched_key INTEGER,
    attempt TEXT,
    payment TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('applied', 'verifying', 'ignored', 'unmatched', 'quarantined')),
    detail TEXT,
    deliveries INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX payments_events_payment ON payments_events (payment) WHERE payment IS NOT NULL;
CREATE INDEX payments_events_outcome ON payments_events (outcome, received_at) WHERE outcome IN ('unmatched', 'quarantined');
CREATE INDEX payments_events_received ON payments_events (received_at);

-- The references of events that match no attempt yet: an attempt's references may become known later.
CREATE TABLE payments_unmatched (
    event TEXT NOT NULL REFERENCES payments_events (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (provider, value, event)
) STRICT;

CREATE TABLE payments_facts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payment TEXT NOT NULL REFERENCES payments_payments (id),
    attempt TEXT NOT NULL REFERENCES payments_attempts (id),
    claim TEXT NOT NULL,
    amount INTEGER,
    currency TEXT,
    problem TEXT,
    provider_transaction TEXT,
    occurred_at INTEGER,
    source TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    fact_key TEXT NOT NULL,
    UNIQUE (payment, fact_key)
) STRICT;

CREATE TABLE payments_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payment TEXT NOT NULL,
    at INTEGER NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX payments_audit_payment ON payments_audit (payment);
CREATE TRIGGER payments_audit_no_update BEFORE UPDATE ON payments_audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER payments_audit_no_delete BEFORE DELETE ON payments_audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

-- What a person has to look at.
CREATE TABLE payments_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payment TEXT NOT NULL REFERENCES payments_payments (id),
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    closed_at INTEGER,
    UNIQUE (payment, kind, detail)
) STRICT;
