-- How the customer pays an attempt: by which network, and what there is to do.
ALTER TABLE payments_attempts ADD COLUMN network TEXT;
ALTER TABLE payments_attempts ADD COLUMN step TEXT;

-- The payment and the attempt that the address of an event was made for, where it was made for one.
ALTER TABLE payments_events ADD COLUMN address_payment TEXT;
ALTER TABLE payments_events ADD COLUMN address_attempt INTEGER;

-- References that somebody handed in without proof, such as the browser that comes back with a transaction's number. They are worth asking
-- the provider by, but lead to no attempt: several attempts may claim the same one, and only the provider's answer tells whose it is.
CREATE TABLE payments_unverified (
    provider TEXT NOT NULL,
    value TEXT NOT NULL,
    kind TEXT NOT NULL,
    attempt TEXT NOT NULL REFERENCES payments_attempts (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (attempt, value)
) STRICT;
CREATE INDEX payments_unverified_value ON payments_unverified (provider, value);
