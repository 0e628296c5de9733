-- Plans are versioned: a payment buys the version that was on sale when it was created. -1 means unlimited.
CREATE TABLE plans_versions (
    plan TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    name TEXT NOT NULL,
    price INTEGER NOT NULL CHECK (price >= 0),
    currency TEXT NOT NULL,
    period_months INTEGER NOT NULL CHECK (period_months > 0),
    max_teams INTEGER NOT NULL,
    max_members INTEGER NOT NULL,
    max_projects INTEGER NOT NULL,
    max_cpu_milli INTEGER NOT NULL,
    max_memory_mb INTEGER NOT NULL,
    max_traffic_bytes_per_month INTEGER NOT NULL,
    max_storage_bytes INTEGER NOT NULL,
    custom_domains INTEGER NOT NULL CHECK (custom_domains IN (0, 1)),
    valid_from INTEGER NOT NULL,
    PRIMARY KEY (plan, version)
) STRICT;
-- GB = 1024^3 bytes, MB = 1024^2 bytes.
INSERT INTO plans_versions VALUES
    ('free', 1, 'Free', 0, 'EUR', 1, 1, 1, 2, 300, 100, 5368709120, 104857600, 0, 0),
    ('pay_as_you_go', 1, 'Pro', 300, 'EUR', 1, -1, -1, -1, 4000, 6144, 10737418240, 10737418240, 1, 0);

CREATE TABLE plans_subscriptions (
    team TEXT PRIMARY KEY,
    plan TEXT NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'grace', 'ended')),
    period_start INTEGER NOT NULL,
    renews_at INTEGER NOT NULL,
    anchor_day INTEGER NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    updated_at INTEGER NOT NULL,
    FOREIGN KEY (plan, version) REFERENCES plans_versions (plan, version)
) STRICT;

-- Each payment is applied once.
CREATE TABLE plans_activations (
    payment TEXT PRIMARY KEY,
    team TEXT NOT NULL,
    plan TEXT NOT NULL,
    version INTEGER NOT NULL,
    period_start INTEGER NOT NULL,
    renews_at INTEGER NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
CREATE INDEX plans_activations_team ON plans_activations (team, applied_at);
