-- Links that ran out unused are found among those that nobody used, which stay few, and not among all that was ever published.
CREATE INDEX downloads_grants_unused ON downloads_grants (expires_at) WHERE used_count = 0 AND revoked_at IS NULL;
