-- A caller is a key or the subject of a token, of which there is no row: the reference goes, the rest stays as it was.
CREATE TABLE access_calls_wider (
    -- A key's id, or jwt: and the subject.
    api_key TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    state TEXT NOT NULL CHECK (state IN ('running', 'finished')),
    -- Which run holds the claim: one that was taken over can neither finish nor release it.
    run INTEGER NOT NULL,
    -- What the run has made, so that whoever takes over goes on with it instead of making another one.
    made TEXT,
    status INTEGER,
    content_type TEXT,
    body BLOB,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (api_key, idempotency_key),
    CHECK (state = 'running' OR (status IS NOT NULL AND content_type IS NOT NULL AND body IS NOT NULL AND finished_at IS NOT NULL))
) STRICT;
INSERT INTO access_calls_wider SELECT * FROM access_calls;
DROP TABLE access_calls;
ALTER TABLE access_calls_wider RENAME TO access_calls;
CREATE INDEX access_calls_started ON access_calls (started_at);
