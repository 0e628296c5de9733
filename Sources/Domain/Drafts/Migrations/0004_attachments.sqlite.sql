-- Files that a customer hands in with the form.
CREATE TABLE drafts_attachments (
    inquiry TEXT NOT NULL REFERENCES drafts_inquiries (id),
    number INTEGER NOT NULL CHECK (number > 0),
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('pdf', 'docx', 'xlsx', 'png', 'jpeg')),
    -- As the customer called it: shown, never a path.
    file_name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (inquiry, number)
) STRICT;
