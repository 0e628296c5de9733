-- An entry's times are those of a zone's clocks; what was missed, and what comes too soon, has a policy.
ALTER TABLE scheduling_entries ADD COLUMN zone TEXT NOT NULL DEFAULT 'UTC';
ALTER TABLE scheduling_entries ADD COLUMN catch_up TEXT NOT NULL DEFAULT 'latest';
ALTER TABLE scheduling_entries ADD COLUMN overlap TEXT NOT NULL DEFAULT 'allow';
-- Ticks from before were never due: when the schedule was changed, or the entry resumed.
ALTER TABLE scheduling_entries ADD COLUMN counts_from INTEGER NOT NULL DEFAULT 0;

-- A tick may be passed over, and has a job.
CREATE TABLE scheduling_ticks_wider (
    entry TEXT NOT NULL REFERENCES scheduling_entries (name),
    -- The minute it was due, UTC; a run by hand has its own name.
    tick TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT CHECK (outcome IN ('done', 'failed', 'skipped')),
    detail TEXT,
    runner TEXT NOT NULL,
    -- The job that it added to the outbox.
    job TEXT,
    PRIMARY KEY (entry, tick)
) STRICT;
INSERT INTO scheduling_ticks_wider (entry, tick, due_at, started_at, finished_at, outcome, detail, runner)
SELECT entry, tick, due_at, started_at, finished_at, outcome, detail, runner FROM scheduling_ticks;
DROP TABLE scheduling_ticks;
ALTER TABLE scheduling_ticks_wider RENAME TO scheduling_ticks;
CREATE INDEX scheduling_ticks_due ON scheduling_ticks (entry, due_at);
CREATE INDEX scheduling_ticks_age ON scheduling_ticks (due_at);
CREATE INDEX scheduling_ticks_job ON scheduling_ticks (entry, started_at) WHERE job IS NOT NULL;
