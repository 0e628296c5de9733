-- Taking up an archived event again. Each has a name of its own, so that nothing takes it for a repetition; what it finds known already
-- changes nothing.
CREATE TABLE payments_replays (
    event TEXT NOT NULL REFERENCES payments_events (id) ON DELETE CASCADE,
    nonce TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    outcome_before TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT,
    PRIMARY KEY (event, nonce)
) STRICT;

-- References that lead to no attempt and whose provider can tell whose they are. Few of each provider are kept, and each is asked about a few
-- times only, so that made-up ones cost a bounded number of calls.
CREATE TABLE payments_parked (
    provider TEXT NOT NULL,
    value TEXT NOT NULL,
    kind TEXT NOT NULL,
    mode TEXT NOT NULL,
    proven INTEGER NOT NULL CHECK (proven IN (0, 1)),
    asked INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (provider, value)
) STRICT;
CREATE INDEX payments_parked_due ON payments_parked (next_at);

-- Whether whoever told a reference proved where it comes from, and how often the provider was asked by it and did not tie it to the attempt.
ALTER TABLE payments_unverified ADD COLUMN proven INTEGER NOT NULL DEFAULT 0 CHECK (proven IN (0, 1));
ALTER TABLE payments_unverified ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;

-- How often the provider was asked about an attempt because somebody said so without proof, and for when the last such question is.
ALTER TABLE payments_attempts ADD COLUMN hints INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payments_attempts ADD COLUMN hinted_at INTEGER;

-- When a source was last heard of.
CREATE INDEX payments_events_provider ON payments_events (provider, received_at);
