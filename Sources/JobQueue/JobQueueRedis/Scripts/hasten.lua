-- hasten 1: puts a delayed body at the head of the queue now.
--
-- KEYS  1 delayed  2 ready
-- ARGV  1 body
-- Returns 1, or 0 when it was not delayed (any more).

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('RPUSH', KEYS[2], ARGV[1])
return 1
