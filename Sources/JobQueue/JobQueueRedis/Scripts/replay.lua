-- replay 1: takes a record out of the dead set and puts its body on the queue.
--
-- KEYS  1 dead  2 ready  3 report of the job  4 cancels
-- ARGV  1 record, byte for byte  2 body  3 job id or ''
-- Returns 1, or 0 when the record was not there (any more).

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('LPUSH', KEYS[2], ARGV[2])
-- What is remembered of its end is over, and so is a cancellation that it did not live to hear of.
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[3])
return 1
