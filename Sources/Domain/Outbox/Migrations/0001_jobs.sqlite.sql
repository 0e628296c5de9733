-- The record of every job that a transaction caused. A row is published to its queue after the commit, and finished in the
-- transaction of the job's effect: `finished_at` changes from NULL once, which makes the effect once.
CREATE TABLE outbox_jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    args TEXT NOT NULL,
    payment TEXT,
    unique_key TEXT UNIQUE,
    run_at INTEGER,
    traceparent TEXT,
    slot TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    published_at INTEGER,
    finished_at INTEGER,
    outcome TEXT CHECK (outcome IN ('done', 'skipped', 'buried', 'discarded')),
    detail TEXT,
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
) STRICT;
-- Row numbers are only good together with the database that gave them out: the epoch is new in a new database, and after a
-- restore or a lost Redis, so that numbers which Redis remembers from before mean nothing.
CREATE TABLE outbox_epoch (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL
) STRICT;
INSERT INTO outbox_epoch VALUES (1, lower(hex(randomblob(8))));

CREATE INDEX outbox_jobs_unpublished ON outbox_jobs (slot, sequence) WHERE published_at IS NULL;
CREATE INDEX outbox_jobs_payment ON outbox_jobs (payment) WHERE payment IS NOT NULL;
CREATE INDEX outbox_jobs_unfinished ON outbox_jobs (created_at) WHERE finished_at IS NULL;
CREATE INDEX outbox_jobs_finished ON outbox_jobs (finished_at) WHERE finished_at IS NOT NULL;
