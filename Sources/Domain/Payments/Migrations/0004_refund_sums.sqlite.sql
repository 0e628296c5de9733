-- Providers tell what went back of an attempt so far. What other hands had given back when a refund was asked for is kept with it, so that
-- its own notification, told before its call is answered, does not count twice.
ALTER TABLE payments_refunds ADD COLUMN told_before INTEGER NOT NULL DEFAULT 0 CHECK (told_before >= 0);

-- What a person has to look at still; what somebody has done about the rest is history.
CREATE INDEX payments_tasks_open ON payments_tasks (id) WHERE closed_at IS NULL;
-- What matched nothing is looked up by its event when it is matched at last, and when events are removed.
CREATE INDEX payments_unmatched_event ON payments_unmatched (event);
-- How a provider has been doing of late.
CREATE INDEX payments_attempts_begun ON payments_attempts (provider, created_at);
