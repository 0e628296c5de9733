-- What was counted before: a unit of samples is named by who measured and by its own name, and counts once. Rows go after 90
-- days; samples of units that old are no longer taken, so that a unit can never count twice.
CREATE TABLE usage_batches (
    source TEXT NOT NULL,
    batch TEXT NOT NULL,
    -- Of the samples: another one under the same name is a conflict.
    digest INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (source, batch)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_batches_age ON usage_batches (applied_at);

-- Servelink's ProjectUsage: one row per project and UTC month.
CREATE TABLE usage_project_months (
    project TEXT NOT NULL,
    year INTEGER NOT NULL CHECK (year BETWEEN 1970 AND 9999),
    month INTEGER NOT NULL CHECK (month BETWEEN 1 AND 12),
    traffic_bytes INTEGER NOT NULL DEFAULT 0 CHECK (traffic_bytes >= 0),
    -- As last measured in the month; nothing when it was not.
    storage_bytes INTEGER CHECK (storage_bytes >= 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (project, year, month)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_project_months_period ON usage_project_months (year, month);

-- For trends.
CREATE TABLE usage_project_days (
    project TEXT NOT NULL,
    -- Days since 1970-01-01, UTC.
    day INTEGER NOT NULL,
    traffic_bytes INTEGER NOT NULL DEFAULT 0 CHECK (traffic_bytes >= 0),
    storage_bytes INTEGER CHECK (storage_bytes >= 0),
    PRIMARY KEY (project, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_project_days_day ON usage_project_days (day);

-- Samples that were not counted, and why: nothing disappears without a trace.
CREATE TABLE usage_rejections (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    batch TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('too_old', 'in_future', 'conflict')),
    samples INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    rejected_at INTEGER NOT NULL
) STRICT;
CREATE INDEX usage_rejections_age ON usage_rejections (rejected_at);

-- Storage is a gauge: what each origin (docker, folders, a person's entry) last measured of each project. It has no month.
CREATE TABLE usage_storage (
    project TEXT NOT NULL,
    origin TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    -- Volumes and images whose size was not told; they are in no sum, and the last figure stands meanwhile.
    unknown_items INTEGER NOT NULL CHECK (unknown_items >= 0),
    -- When it was last looked at, and when everything of it was last known.
    measured_at INTEGER NOT NULL,
    known_at INTEGER,
    PRIMARY KEY (project, origin)
) STRICT, WITHOUT ROWID;

-- Where storage is measured, and when that last succeeded.
CREATE TABLE usage_origins (
    origin TEXT PRIMARY KEY,
    -- Whether the scheduled run measures it; otherwise it comes from outside, project by project.
    is_whole INTEGER NOT NULL CHECK (is_whole IN (0, 1)),
    measured_at INTEGER,
    failed_at INTEGER,
    error TEXT
) STRICT;

-- Runs of the two crons, with what they did.
CREATE TABLE usage_runs (
    kind TEXT NOT NULL CHECK (kind IN ('storage', 'limits')),
    tick TEXT NOT NULL,
    job TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT NOT NULL CHECK (outcome IN ('running', 'done', 'failed')),
    items INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0,
    duration_ms INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (kind, tick)
) STRICT;
CREATE INDEX usage_runs_started ON usage_runs (started_at);

-- One alert per team, metric, UTC month, threshold and limit. An upgrade changes the limit and so arms anew.
CREATE TABLE usage_alerts (
    team TEXT NOT NULL,
    metric TEXT NOT NULL CHECK (metric IN ('traffic', 'storage')),
    -- 2026-11
    period TEXT NOT NULL,
    threshold INTEGER NOT NULL CHECK (threshold IN (80, 95, 100)),
    limit_bytes INTEGER NOT NULL,
    used_bytes INTEGER NOT NULL,
    plan TEXT NOT NULL,
    -- A jump over two thresholds sends the higher one; the lower one is superseded. Untold: the team had nobody to tell yet.
    state TEXT NOT NULL CHECK (state IN ('sent', 'superseded', 'untold')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (team, metric, period, threshold, limit_bytes)
) STRICT;
CREATE INDEX usage_alerts_created ON usage_alerts (created_at);

-- Staff is told once about each origin that has gone stale: once per measurement that grew too old.
CREATE TABLE usage_stale_notices (
    origin TEXT NOT NULL,
    measured_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (origin, measured_at)
) STRICT;
