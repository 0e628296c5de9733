-- Lists come newest first, of any state or channel, however rare; they go on behind the last one shown.
DROP INDEX notifications_messages_pending;
DROP INDEX notifications_messages_created;
CREATE INDEX notifications_messages_created ON notifications_messages (created_at, key);
CREATE INDEX notifications_messages_state ON notifications_messages (state, created_at, key);
CREATE INDEX notifications_messages_channel ON notifications_messages (channel, created_at, key);
CREATE INDEX notifications_messages_channel_state ON notifications_messages (channel, state, created_at, key);
CREATE INDEX notifications_messages_recipient ON notifications_messages (recipient, created_at, key);
CREATE INDEX notifications_optouts_since ON notifications_optouts (since, address_hash, channel);
