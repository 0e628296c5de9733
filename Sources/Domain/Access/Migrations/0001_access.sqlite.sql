-- API keys are kept as digests only: a copy of this table opens nothing.
CREATE TABLE access_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL CHECK (length(name) > 0),
    secret_digest BLOB NOT NULL CHECK (length(secret_digest) = 32),
    -- Words separated by blanks.
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT;

-- One row per call that names an idempotency key: first as a claim, then with the answer that repeats get.
CREATE TABLE access_calls (
    api_key TEXT NOT NULL REFERENCES access_keys (id),
    idempotency_key TEXT NOT NULL,
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    state TEXT NOT NULL CHECK (state IN ('running', 'finished')),
    -- Which run holds the claim: one that was taken over can neither finish nor release it.
    run INTEGER NOT NULL,
    -- What the run has made, so that whoever takes over goes on with it instead of making another one.
    made TEXT,
    status INTEGER,
    content_type TEXT,
    body BLOB,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (api_key, idempotency_key),
    CHECK (state = 'running' OR (status IS NOT NULL AND content_type IS NOT NULL AND body IS NOT NULL AND finished_at IS NOT NULL))
) STRICT;
CREATE INDEX access_calls_started ON access_calls (started_at);
