-- What of the money was in hand when a person took it as payment: what had gone back before is no part of the bargain.
ALTER TABLE payments_facts ADD COLUMN kept INTEGER CHECK (kept >= 0);
-- Of a decision about one capture: which. By its id, as words may be erased.
ALTER TABLE payments_facts ADD COLUMN about INTEGER REFERENCES payments_facts (id);
-- Refunds that hold money are looked at until they are over.
CREATE INDEX payments_refunds_under_way ON payments_refunds (created_at) WHERE state IN ('requested', 'sent');
