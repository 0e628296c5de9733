-- Money that is given back: asked for, on its way, done or refused. A refund that is not over holds its amount, so that no second one
-- gives the same money back.
CREATE TABLE payments_refunds (
    id TEXT PRIMARY KEY,
    payment TEXT NOT NULL REFERENCES payments_payments (id),
    attempt TEXT NOT NULL REFERENCES payments_attempts (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    reason TEXT NOT NULL,
    -- by the provider's call, or by a person at the provider
    way TEXT NOT NULL CHECK (way IN ('call', 'staff')),
    state TEXT NOT NULL CHECK (state IN ('requested', 'sent', 'done', 'failed')),
    provider_reference TEXT,
    requested_by TEXT NOT NULL,
    detail TEXT,
    created_at INTEGER NOT NULL,
    settled_at INTEGER
) STRICT;
CREATE INDEX payments_refunds_payment ON payments_refunds (payment);

-- What an attempt asks for, in minor units of the payment's currency; NULL for all that is owed.
ALTER TABLE payments_attempts ADD COLUMN amount INTEGER CHECK (amount > 0);
-- Lists of one provider's payments.
CREATE INDEX payments_attempts_provider ON payments_attempts (provider, payment);
