-- One row per message that is to reach somebody: the intent is written before the mail server is called, the result after.
CREATE TABLE notifications_messages (
    -- What makes it one message: template, cause and recipient.
    key TEXT PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL CHECK (channel IN ('email')),
    template TEXT NOT NULL,
    language TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    payment TEXT,
    job TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'refused')),
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at INTEGER NOT NULL,
    sent_at INTEGER
) STRICT;
CREATE INDEX notifications_messages_payment ON notifications_messages (payment) WHERE payment IS NOT NULL;
CREATE INDEX notifications_messages_pending ON notifications_messages (created_at) WHERE state = 'pending';
