-- Jobs that an operator wants left off, from before their queue is asked until their record says what became of them.
CREATE TABLE outbox_leaving (
    job TEXT PRIMARY KEY,
    queue TEXT NOT NULL,
    body TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('skipped', 'discarded')),
    detail TEXT NOT NULL,
    said_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
