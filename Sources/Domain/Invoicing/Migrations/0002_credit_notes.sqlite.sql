-- A payment has one invoice, and a credit note each time that money of it went back. SQLite cannot take a constraint off a table: the table
-- is made anew, with what was in it.
CREATE TABLE invoicing_documents (
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
    -- Of a credit note: the label and day of its invoice, why, and what had gone back of the payment in all, in minor units.
    invoice_label TEXT,
    invoice_issued_at INTEGER,
    reason TEXT,
    refunded INTEGER,
    CHECK ((kind = 'credit_note') = (invoice_label IS NOT NULL AND refunded IS NOT NULL)),
    UNIQUE (issuer, kind, year, number)
) STRICT;
INSERT INTO invoicing_documents (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name, customer_email,
    description, net, vat, gross, currency, vat_rate, exemption, issued_at, paid_at, pdf_path, pdf_sha256, pdf_size)
SELECT id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name, customer_email,
    description, net, vat, gross, currency, vat_rate, exemption, issued_at, paid_at, pdf_path, pdf_sha256, pdf_size
FROM invoicing_invoices;
DROP TABLE invoicing_invoices;
ALTER TABLE invoicing_documents RENAME TO invoicing_invoices;
CREATE INDEX invoicing_invoices_issued ON invoicing_invoices (issued_at);
CREATE UNIQUE INDEX invoicing_invoices_one ON invoicing_invoices (payment) WHERE kind = 'invoice';
CREATE UNIQUE INDEX invoicing_invoices_credited ON invoicing_invoices (payment, refunded) WHERE kind = 'credit_note';

-- A numbered invoice is final, in every column: only the file made from it may still be entered, once and whole.
CREATE TRIGGER invoicing_invoices_final BEFORE UPDATE ON invoicing_invoices
WHEN OLD.pdf_sha256 IS NOT NULL OR NEW.pdf_sha256 IS NULL OR NEW.pdf_path IS NULL OR NEW.pdf_size IS NULL
    OR NEW.id IS NOT OLD.id OR NEW.payment IS NOT OLD.payment OR NEW.kind IS NOT OLD.kind OR NEW.issuer IS NOT OLD.issuer
    OR NEW.issuer_snapshot IS NOT OLD.issuer_snapshot OR NEW.year IS NOT OLD.year OR NEW.number IS NOT OLD.number
    OR NEW.label IS NOT OLD.label OR NEW.mode IS NOT OLD.mode OR NEW.language IS NOT OLD.language
    OR NEW.customer_name IS NOT OLD.customer_name OR NEW.customer_email IS NOT OLD.customer_email
    OR NEW.description IS NOT OLD.description OR NEW.net IS NOT OLD.net OR NEW.vat IS NOT OLD.vat OR NEW.gross IS NOT OLD.gross
    OR NEW.currency IS NOT OLD.currency OR NEW.vat_rate IS NOT OLD.vat_rate OR NEW.exemption IS NOT OLD.exemption
    OR NEW.issued_at IS NOT OLD.issued_at OR NEW.paid_at IS NOT OLD.paid_at OR NEW.invoice_label IS NOT OLD.invoice_label
    OR NEW.invoice_issued_at IS NOT OLD.invoice_issued_at OR NEW.reason IS NOT OLD.reason OR NEW.refunded IS NOT OLD.refunded
BEGIN SELECT RAISE(ABORT, 'a numbered invoice is final: cancel it by a credit note'); END;
CREATE TRIGGER invoicing_invoices_no_delete BEFORE DELETE ON invoicing_invoices
BEGIN SELECT RAISE(ABORT, 'a numbered invoice is final: cancel it by a credit note'); END;
