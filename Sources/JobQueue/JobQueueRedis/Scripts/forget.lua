-- forget 1: deletes a record from the dead set, and the history of its job.
--
-- KEYS  1 dead  2 history
-- ARGV  1 record, byte for byte  2 job id or ''
-- Returns 1, or 0 when the record was not there (any more).

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[2])
return 1
