-- A refusal is named by a number that says nothing of the address: a hash of a telephone number is as good as the number to whoever tries them all.
-- Numbers are not used twice: an old page must not name another person's.
CREATE TABLE notifications_optouts_4 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp')),
    address_hash TEXT NOT NULL,
    -- Masked.
    address TEXT NOT NULL,
    source TEXT NOT NULL,
    since INTEGER NOT NULL,
    UNIQUE (channel, address_hash)
) STRICT;
INSERT INTO notifications_optouts_4 (channel, address_hash, address, source, since)
SELECT channel, address_hash, address, source, since FROM notifications_optouts ORDER BY since, address_hash, channel;
DROP TABLE notifications_optouts;
ALTER TABLE notifications_optouts_4 RENAME TO notifications_optouts;
CREATE INDEX notifications_optouts_since ON notifications_optouts (since, id);
