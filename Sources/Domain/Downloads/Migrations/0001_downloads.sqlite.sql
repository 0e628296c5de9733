-- The right to download one private file, a limited number of times. The link to it is signed from this row and kept nowhere.
CREATE TABLE downloads_grants (
    id TEXT PRIMARY KEY,
    -- What the file belongs to, in its own room's words, and the payment that must be paid when it is downloaded.
    subject TEXT NOT NULL,
    payment TEXT NOT NULL REFERENCES payments_payments (id),
    object_key TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    file_name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    max_uses INTEGER NOT NULL CHECK (max_uses BETWEEN 1 AND 100),
    used_count INTEGER NOT NULL DEFAULT 0 CHECK (used_count BETWEEN 0 AND max_uses),
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL CHECK (expires_at > issued_at),
    revoked_at INTEGER,
    -- The grant that was issued in its place.
    replaced_by TEXT REFERENCES downloads_grants (id)
) STRICT;
CREATE INDEX downloads_grants_subject ON downloads_grants (subject, issued_at);
CREATE INDEX downloads_grants_payment ON downloads_grants (payment);

-- What a link was signed over stays as it is, and a use or a revocation is never taken back.
CREATE TRIGGER downloads_grants_final BEFORE UPDATE ON downloads_grants
WHEN NEW.id IS NOT OLD.id OR NEW.subject IS NOT OLD.subject OR NEW.payment IS NOT OLD.payment OR NEW.object_key IS NOT OLD.object_key
    OR NEW.size IS NOT OLD.size OR NEW.sha256 IS NOT OLD.sha256 OR NEW.content_type IS NOT OLD.content_type
    OR NEW.max_uses IS NOT OLD.max_uses OR NEW.used_count < OLD.used_count OR NEW.issued_at IS NOT OLD.issued_at
    OR NEW.expires_at IS NOT OLD.expires_at OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at)
BEGIN SELECT RAISE(ABORT, 'a download is final but for its uses and its revocation'); END;
CREATE TRIGGER downloads_grants_no_delete BEFORE DELETE ON downloads_grants
BEGIN SELECT RAISE(ABORT, 'a download is final but for its uses and its revocation'); END;

-- One row each time that the whole file was sent; what broke off may be gone on with for a while by ranges.
CREATE TABLE downloads_uses (
    -- Random; only whoever used the link is told it, as the file's ETag.
    id TEXT NOT NULL,
    download TEXT NOT NULL REFERENCES downloads_grants (id),
    number INTEGER NOT NULL CHECK (number > 0),
    used_at INTEGER NOT NULL,
    -- Tells whether two calls come from the same address, and not from which.
    origin BLOB NOT NULL,
    PRIMARY KEY (download, number)
) STRICT, WITHOUT ROWID;

-- Who issued, reissued, revoked or used a download, when and why.
CREATE TABLE downloads_audit (
    id INTEGER PRIMARY KEY,
    download TEXT NOT NULL REFERENCES downloads_grants (id),
    step TEXT NOT NULL CHECK (step IN ('issued', 'reissued', 'revoked', 'used', 'resumed')),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (length(reason) > 0),
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX downloads_audit_download ON downloads_audit (download);
CREATE TRIGGER downloads_audit_no_update BEFORE UPDATE ON downloads_audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER downloads_audit_no_delete BEFORE DELETE ON downloads_audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER downloads_uses_no_update BEFORE UPDATE ON downloads_uses
BEGIN SELECT RAISE(ABORT, 'the uses of a download are append-only'); END;
CREATE TRIGGER downloads_uses_no_delete BEFORE DELETE ON downloads_uses
BEGIN SELECT RAISE(ABORT, 'the uses of a download are append-only'); END;
