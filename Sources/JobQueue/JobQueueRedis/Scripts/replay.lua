-- replay 1: takes a record out of the dead set and puts its body on the queue.
--
-- KEYS  1 dead  2 ready
-- ARGV  1 record, byte for byte  2 body
-- Returns 1, or 0 when the record was not there (any more).

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
