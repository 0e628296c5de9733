-- What runs when. A tick of an entry is one row, so any number of schedulers, and an outside one, run it once.
CREATE TABLE scheduling_entries (
    name TEXT PRIMARY KEY,
    expression TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE scheduling_ticks (
    entry TEXT NOT NULL REFERENCES scheduling_entries (name),
    -- The minute it was due; a run by hand has its own name.
    tick TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT CHECK (outcome IN ('done', 'failed')),
    detail TEXT,
    runner TEXT NOT NULL,
    PRIMARY KEY (entry, tick)
) STRICT;
CREATE INDEX scheduling_ticks_due ON scheduling_ticks (entry, due_at);
CREATE INDEX scheduling_ticks_age ON scheduling_ticks (due_at);
