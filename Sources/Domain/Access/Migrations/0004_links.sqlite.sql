-- Links to payments are signed, not kept: what is kept is which of them were taken back. Every link names the generation it was made in.
CREATE TABLE access_links (
    payment TEXT PRIMARY KEY,
    generation INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 65535),
    revoked_at INTEGER NOT NULL
) STRICT;
