-- What providers answered, as it came: bytes, without secrets and numbers of cards, cut where they are long. Kept as long as events are.
CREATE TABLE payments_answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt TEXT NOT NULL REFERENCES payments_attempts (id),
    -- What was wanted: initiate, status, refund.
    asked TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL,
    -- Bytes as they came.
    size INTEGER NOT NULL
) STRICT;
CREATE INDEX payments_answers_attempt ON payments_answers (attempt);
CREATE INDEX payments_answers_received ON payments_answers (received_at);
