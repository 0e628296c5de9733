-- What a team wants after its period; no row: the same again, if it is paid.
CREATE TABLE plans_next (
    team TEXT PRIMARY KEY,
    plan TEXT NOT NULL,
    wanted_by TEXT NOT NULL,
    wanted_at INTEGER NOT NULL
) STRICT;

-- What was told of a period's end, once each.
CREATE TABLE plans_notices (
    team TEXT NOT NULL,
    period_end INTEGER NOT NULL,
    step TEXT NOT NULL CHECK (step IN ('week', 'day', 'grace', 'ended')),
    -- How many were written to.
    messages INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (team, period_end, step)
) STRICT, WITHOUT ROWID;

-- Every move of a subscription, with how it stands afterwards.
CREATE TABLE plans_moves (
    id INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    plan TEXT NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL
        CHECK (cause IN ('bought', 'renewed', 'grace', 'ended', 'downgraded', 'planned', 'kept', 'taken_back')),
    payment TEXT,
    actor TEXT NOT NULL,
    renews_at INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX plans_moves_team ON plans_moves (team, id);
CREATE INDEX plans_moves_payment ON plans_moves (payment, id) WHERE payment IS NOT NULL;
-- Teams that ever bought a plan.
CREATE INDEX plans_moves_buyers ON plans_moves (team) WHERE cause IN ('bought', 'taken_back');
CREATE TRIGGER plans_moves_no_update BEFORE UPDATE ON plans_moves
BEGIN SELECT RAISE(ABORT, 'the moves of plans are append-only'); END;
CREATE TRIGGER plans_moves_no_delete BEFORE DELETE ON plans_moves
BEGIN SELECT RAISE(ABORT, 'the moves of plans are append-only'); END;

-- What a payment adds to is what the team had when it paid, however late that was applied.
ALTER TABLE plans_activations ADD COLUMN paid_at INTEGER NOT NULL DEFAULT 0;
UPDATE plans_activations SET paid_at = applied_at;

CREATE INDEX plans_subscriptions_due ON plans_subscriptions (renews_at) WHERE status <> 'ended';

-- Nobody was ever reminded of a period that ended before this: it ends now, and has its days of grace.
UPDATE plans_subscriptions SET renews_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE status = 'active' AND renews_at < CAST(strftime('%s', 'now') AS INTEGER) * 1000
  AND EXISTS (SELECT 1 FROM plans_versions v WHERE v.plan = plans_subscriptions.plan AND v.version = plans_subscriptions.version AND v.price > 0);
