-- Teams, their people and their projects, as the product that owns them tells us.
CREATE TABLE teams_teams (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- Who has it; a person's teams are counted by it.
    owner TEXT NOT NULL,
    language TEXT NOT NULL CHECK (language IN ('fr', 'en')),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX teams_teams_owner ON teams_teams (owner);

CREATE TABLE teams_members (
    team TEXT NOT NULL REFERENCES teams_teams (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL CHECK (language IN ('fr', 'en')),
    role TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    gets_alerts INTEGER NOT NULL CHECK (gets_alerts IN (0, 1)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (team, email)
) STRICT;

CREATE TABLE teams_projects (
    id TEXT PRIMARY KEY,
    team TEXT NOT NULL REFERENCES teams_teams (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- Thousandths of a CPU: 300 is 0.3.
    cpu_milli INTEGER NOT NULL CHECK (cpu_milli >= 0),
    memory_mb INTEGER NOT NULL CHECK (memory_mb >= 0),
    custom_domains INTEGER NOT NULL CHECK (custom_domains >= 0),
    created_at INTEGER NOT NULL,
    -- A removed project still counts for its team in the month in which it went: nobody empties a counter by making a project anew.
    removed_at INTEGER
) STRICT;
CREATE INDEX teams_projects_team ON teams_projects (team, id);
