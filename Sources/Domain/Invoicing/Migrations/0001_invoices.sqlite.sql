-- Who issues invoices. Without an issuer nothing is numbered.
CREATE TABLE invoicing_issuers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    tax_ids TEXT NOT NULL,
    -- Hundredths of a percent: 1800 is 18 %. NULL when exempt, and then the words of the exemption.
    vat_rate INTEGER CHECK (vat_rate BETWEEN 1 AND 10000),
    exemption TEXT,
    series TEXT NOT NULL,
    email TEXT,
    mode TEXT NOT NULL CHECK (mode IN ('sandbox', 'live')),
    updated_at INTEGER NOT NULL,
    CHECK ((vat_rate IS NULL) <> (exemption IS NULL)),
    UNIQUE (mode)
) STRICT;

-- The next number of each series: taken and moved on in the transaction that makes the invoice final.
CREATE TABLE invoicing_series (
    issuer TEXT NOT NULL,
    kind TEXT NOT NULL,
    year INTEGER NOT NULL,
    next_number INTEGER NOT NULL CHECK (next_number > 0),
    PRIMARY KEY (issuer, kind, year)
) STRICT;

CREATE TABLE invoicing_invoices (
    id TEXT PRIMARY KEY,
    payment TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    issuer TEXT NOT NULL,
    -- The issuer as it was: an invoice never changes with its issuer's row.
    issuer_snapshot TEXT NOT NULL,
    year INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    label TEXT NOT NULL UNIQUE,
    mode TEXT NOT NULL,
    language TEXT NOT NULL,
    customer_name TEXT NOT NULL,
    customer_email TEXT,
    description TEXT NOT NULL,
    net INTEGER NOT NULL,
    vat INTEGER NOT NULL,
    gross INTEGER NOT NULL CHECK (gross = net + vat),
    currency TEXT NOT NULL,
    vat_rate INTEGER,
    exemption TEXT,
    issued_at INTEGER NOT NULL,
    paid_at INTEGER,
    pdf_path TEXT,
    pdf_sha256 TEXT,
    pdf_size INTEGER,
    UNIQUE (payment, kind),
    UNIQUE (issuer, kind, year, number)
) STRICT;
CREATE INDEX invoicing_invoices_issued ON invoicing_invoices (issued_at);

-- A numbered invoice is final, in every column: only the file made from it may still be entered, once and whole.
CREATE TRIGGER invoicing_invoices_final BEFORE UPDATE ON invoicing_invoices
WHEN OLD.pdf_sha256 IS NOT NULL OR NEW.pdf_sha256 IS NULL OR NEW.pdf_path IS NULL OR NEW.pdf_size IS NULL
    OR NEW.id IS NOT OLD.id OR NEW.payment IS NOT OLD.payment OR NEW.kind IS NOT OLD.kind OR NEW.issuer IS NOT OLD.issuer
    OR NEW.issuer_snapshot IS NOT OLD.issuer_snapshot OR NEW.year IS NOT OLD.year OR NEW.number IS NOT OLD.number
    OR NEW.label IS NOT OLD.label OR NEW.mode IS NOT OLD.mode OR NEW.language IS NOT OLD.language
    OR NEW.customer_name IS NOT OLD.customer_name OR NEW.customer_email IS NOT OLD.customer_email
    OR NEW.description IS NOT OLD.description OR NEW.net IS NOT OLD.net OR NEW.vat IS NOT OLD.vat OR NEW.gross IS NOT OLD.gross
    OR NEW.currency IS NOT OLD.currency OR NEW.vat_rate IS NOT OLD.vat_rate OR NEW.exemption IS NOT OLD.exemption
    OR NEW.issued_at IS NOT OLD.issued_at OR NEW.paid_at IS NOT OLD.paid_at
BEGIN SELECT RAISE(ABORT, 'a numbered invoice is final: cancel it by a credit note'); END;
CREATE TRIGGER invoicing_invoices_no_delete BEFORE DELETE ON invoicing_invoices
BEGIN SELECT RAISE(ABORT, 'a numbered invoice is final: cancel it by a credit note'); END;
