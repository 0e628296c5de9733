-- What staff makes of a draft and the customer downloads. A later one takes the place of those before it, which stay.
CREATE TABLE drafts_finals (
    inquiry TEXT NOT NULL REFERENCES drafts_inquiries (id),
    version INTEGER NOT NULL CHECK (version > 0),
    -- Where private objects are kept.
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('docx', 'pdf')),
    file_name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (inquiry, version)
) STRICT;

-- What people did to an inquiry, and why; and to what all inquiries share: products, prompts, templates.
CREATE TABLE drafts_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    inquiry TEXT REFERENCES drafts_inquiries (id),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX drafts_audit_inquiry ON drafts_audit (inquiry, id) WHERE inquiry IS NOT NULL;
CREATE TRIGGER drafts_audit_no_update BEFORE UPDATE ON drafts_audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER drafts_audit_no_delete BEFORE DELETE ON drafts_audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

-- Which product the form sells, and nobody has to know its name for that.
ALTER TABLE drafts_products ADD COLUMN is_sold INTEGER NOT NULL DEFAULT 0 CHECK (is_sold IN (0, 1));
CREATE UNIQUE INDEX drafts_products_sold ON drafts_products (is_sold) WHERE is_sold = 1;
UPDATE drafts_products SET is_sold = 1 WHERE slug = 'audit-sans-peur';
