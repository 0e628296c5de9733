-- A message goes by one of several channels, and its carrier may tell later what has become of it.
CREATE TABLE notifications_messages_new (
    -- What makes it one message: template, cause and recipient.
    key TEXT PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    -- The one that took it last; before, the one that is to be tried first.
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp')),
    template TEXT NOT NULL,
    language TEXT NOT NULL,
    -- The person: an e-mail address, or a telephone number where there is none.
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    payment TEXT,
    job TEXT NOT NULL,
    -- refused: no carrier took it; failed: taken, and not delivered; late: of no use any more; unknown: nobody knows whether it was taken.
    state TEXT NOT NULL
        CHECK (state IN ('pending', 'sent', 'delivered', 'read', 'refused', 'failed', 'late', 'unknown')),
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at INTEGER NOT NULL,
    sent_at INTEGER,
    -- Whoever sends a message again that was given up begins a new round: every carrier may be tried again.
    round INTEGER NOT NULL DEFAULT 1,
    useful_until INTEGER,
    -- The job's parameters, for the carrier that is tried after a receipt said that another one failed.
    request TEXT
) STRICT;
INSERT INTO notifications_messages_new
    (key, message_id, channel, template, language, recipient, subject, payment, job, state, attempts, error, created_at, sent_at)
    SELECT key, message_id, channel, template, language, recipient, subject, payment, job, state, attempts, error, created_at, sent_at
    FROM notifications_messages;
DROP TABLE notifications_messages;
ALTER TABLE notifications_messages_new RENAME TO notifications_messages;
CREATE INDEX notifications_messages_payment ON notifications_messages (payment) WHERE payment IS NOT NULL;
CREATE INDEX notifications_messages_pending ON notifications_messages (created_at) WHERE state = 'pending';
CREATE INDEX notifications_messages_created ON notifications_messages (created_at);

-- One call to one carrier.
CREATE TABLE notifications_tries (
    id INTEGER PRIMARY KEY,
    -- The message by its Message-ID.
    message TEXT NOT NULL,
    round INTEGER NOT NULL,
    carrier TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp')),
    mode TEXT,
    -- sending: begun, and perhaps interrupted; held: not sent, the carrier is ill or gets enough; down: keys or account.
    state TEXT NOT NULL
        CHECK (state IN ('sending', 'accepted', 'refused', 'retry', 'held', 'down', 'unknown', 'failed', 'delivered', 'read')),
    code TEXT,
    detail TEXT,
    -- Whether the address is at fault, so that no other carrier of the channel helps.
    address_fault INTEGER NOT NULL DEFAULT 0,
    carrier_id TEXT,
    began_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX notifications_tries_message ON notifications_tries (message, id);
CREATE INDEX notifications_tries_carrier_id ON notifications_tries (carrier, carrier_id) WHERE carrier_id IS NOT NULL;

-- What carriers told of messages; kept apart, as a receipt may come before the answer that names its message.
CREATE TABLE notifications_receipts (
    carrier TEXT NOT NULL,
    carrier_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('sent', 'failed', 'delivered', 'read')),
    code TEXT,
    detail TEXT,
    at INTEGER,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (carrier, carrier_id, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_receipts_received ON notifications_receipts (received_at);

-- Who does not want to be written to on a channel. The address by its hash: a refusal outlives the erasure of everything else.
CREATE TABLE notifications_optouts (
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp')),
    address_hash TEXT NOT NULL,
    -- Masked.
    address TEXT NOT NULL,
    source TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (channel, address_hash)
) STRICT, WITHOUT ROWID;

-- What nothing is sent by for a while: a carrier whose keys or account are in trouble, or one template of it.
CREATE TABLE notifications_stops (
    carrier TEXT NOT NULL,
    -- Empty for all.
    template TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (carrier, template)
) STRICT, WITHOUT ROWID;
