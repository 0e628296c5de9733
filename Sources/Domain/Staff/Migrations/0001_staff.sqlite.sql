-- Who may sign in to the console. Passwords are what scrypt made of them, with the costs it was made at.
CREATE TABLE staff_users (
    id TEXT PRIMARY KEY,
    -- In small letters; it stays for good, as records name it.
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 2 AND 40),
    role TEXT NOT NULL CHECK (role IN ('viewer', 'staff', 'operator', 'admin')),
    language TEXT NOT NULL DEFAULT 'fr' CHECK (language IN ('fr', 'en')),
    password BLOB NOT NULL,
    password_salt BLOB NOT NULL,
    password_n INTEGER NOT NULL,
    password_r INTEGER NOT NULL,
    password_p INTEGER NOT NULL,
    -- Somebody else knows the password: it is changed at the next sign-in.
    must_change INTEGER NOT NULL CHECK (must_change IN (0, 1)),
    -- The key of the one-time codes, sealed; NULL before the first sign-in.
    code_key BLOB,
    -- The last time step whose code was taken: none is taken twice.
    code_step INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    signed_in_at INTEGER,
    disabled_at INTEGER
) STRICT;

-- Codes for whoever has lost the telephone, each good once: digests under a key of the installation.
CREATE TABLE staff_recovery_codes (
    user TEXT NOT NULL REFERENCES staff_users (id),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    used_at INTEGER,
    PRIMARY KEY (user, digest)
) STRICT;

-- Sign-ins that did not succeed, by name (known or not) and by address, and until when the next has to wait.
CREATE TABLE staff_failures (
    subject TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    locked_until INTEGER NOT NULL
) STRICT;
CREATE INDEX staff_failures_last ON staff_failures (last_at);

-- Sessions, by the digest of their id: a copy of this table signs nobody in.
CREATE TABLE staff_sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    user TEXT NOT NULL REFERENCES staff_users (id),
    -- code: the password was right, the one-time code is awaited; enrol: there is no key for codes yet; open: signed in.
    stage TEXT NOT NULL CHECK (stage IN ('code', 'enrol', 'open')),
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    -- The key that is being enrolled, sealed.
    pending_key BLOB,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX staff_sessions_user ON staff_sessions (user);
CREATE INDEX staff_sessions_expiry ON staff_sessions (expires_at);

-- What staff did.
CREATE TABLE staff_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT,
    address TEXT
) STRICT;
CREATE INDEX staff_audit_actor ON staff_audit (actor, id);
CREATE TRIGGER staff_audit_no_update BEFORE UPDATE ON staff_audit
BEGIN SELECT RAISE(ABORT, 'the record of what staff did is append-only'); END;
CREATE TRIGGER staff_audit_no_delete BEFORE DELETE ON staff_audit
BEGIN SELECT RAISE(ABORT, 'the record of what staff did is append-only'); END;

-- Refunds that wait for a second person.
CREATE TABLE staff_refund_requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payment TEXT NOT NULL REFERENCES payments_payments (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    reason TEXT NOT NULL,
    -- Where the money went back already: what it is called there.
    provider_reference TEXT,
    requested_by TEXT NOT NULL REFERENCES staff_users (id),
    requested_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused')),
    decided_by TEXT REFERENCES staff_users (id),
    decided_at INTEGER,
    refund TEXT,
    CHECK (state <> 'approved' OR (decided_by IS NOT NULL AND decided_by <> requested_by))
) STRICT;
CREATE INDEX staff_refund_requests_waiting ON staff_refund_requests (id) WHERE state = 'waiting';
CREATE INDEX staff_refund_requests_payment ON staff_refund_requests (payment);
