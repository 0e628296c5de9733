-- Calls to the outside: the intent is written before the call, the result after it. `fence` counts the owners, of which only the
-- latest may write. A row without an owner is in nobody's hands.
CREATE TABLE outbox_effects (
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'withdrawn', 'doubtful')),
    rule TEXT NOT NULL CHECK (rule IN ('ask', 'same_key_again', 'once_then_task', 'again_visibly')),
    owner_queue TEXT,
    owner_worker TEXT,
    owner_token INTEGER,
    owner_job TEXT,
    fence INTEGER NOT NULL,
    result TEXT,
    detail TEXT,
    began_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (name, key),
    CHECK ((state = 'done') = (result IS NOT NULL)),
    CHECK ((owner_worker IS NULL) = (owner_token IS NULL)),
    CHECK ((owner_worker IS NULL) = (owner_queue IS NULL)),
    CHECK ((owner_worker IS NULL) = (owner_job IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_effects_open ON outbox_effects (began_at) WHERE state IN ('pending', 'doubtful');
CREATE INDEX outbox_effects_settled ON outbox_effects (changed_at) WHERE state IN ('done', 'withdrawn');
