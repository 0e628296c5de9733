-- Kit Complet: an inquiry with its order, a draft made by AI once it is paid, later the final document.
CREATE TABLE drafts_products (
    slug TEXT PRIMARY KEY,
    name_fr TEXT NOT NULL,
    name_en TEXT NOT NULL,
    price INTEGER NOT NULL CHECK (price > 0),
    currency TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO drafts_products VALUES ('audit-sans-peur', 'Kit Complet - Audit sans peur', 'Complete kit - Audit without fear', 12500, 'XOF', 0);

CREATE TABLE drafts_inquiries (
    id TEXT PRIMARY KEY,
    organization_name TEXT NOT NULL,
    contact_name TEXT NOT NULL,
    email TEXT NOT NULL,
    phone TEXT,
    statut_juridique TEXT NOT NULL,
    location TEXT NOT NULL,
    sector TEXT NOT NULL,
    mission_text TEXT NOT NULL,
    context_text TEXT NOT NULL,
    budget_range TEXT NOT NULL,
    funding_sources TEXT NOT NULL,
    audits_types TEXT NOT NULL,
    audits_frequency TEXT NOT NULL,
    staff_size TEXT NOT NULL,
    org_chart_text TEXT NOT NULL,
    notes_text TEXT NOT NULL,
    documents_count INTEGER NOT NULL DEFAULT 0 CHECK (documents_count >= 0),
    language TEXT NOT NULL CHECK (language IN ('fr', 'en')),
    payment_status TEXT NOT NULL CHECK (payment_status IN ('CREATED', 'PENDING', 'PAID')),
    processing_state TEXT NOT NULL CHECK (processing_state IN
        ('INQUIRY_RECEIVED', 'PAID', 'IA_RUNNING', 'DRAFT_DONE', 'DRAFT_FAILED', 'FINAL_UPLOADED', 'PUBLISHED')),
    failure TEXT,
    order_id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX drafts_inquiries_state ON drafts_inquiries (processing_state, created_at);

CREATE TABLE drafts_orders (
    id TEXT PRIMARY KEY,
    inquiry TEXT NOT NULL UNIQUE REFERENCES drafts_inquiries (id),
    product TEXT NOT NULL REFERENCES drafts_products (slug),
    price INTEGER NOT NULL CHECK (price > 0),
    currency TEXT NOT NULL,
    payment TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    paid_at INTEGER
) STRICT;

-- The AI's answer is kept as soon as it is there, so that a retry after this step does not pay for it again.
CREATE TABLE drafts_answers (
    inquiry TEXT PRIMARY KEY REFERENCES drafts_inquiries (id),
    model TEXT NOT NULL,
    content TEXT NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE drafts_generated (
    inquiry TEXT PRIMARY KEY REFERENCES drafts_inquiries (id),
    payment TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
