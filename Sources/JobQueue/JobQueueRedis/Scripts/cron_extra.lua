-- cron_extra 1: puts the job of an extra run of a cron entry on the queue, once for each name.
--
-- KEYS  1 cron-extras  2 ready
-- ARGV  1 <entry>:<name>  2 body  3 ms that names are remembered
-- Returns 1, or 0 when there was a run of that name.
--
-- The first write is refused by a Redis over its maxmemory, and then nothing has been done.

local extras, ready = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('ZSCORE', extras, ARGV[1]) then
  return 0
end
redis.call('LPUSH', ready, ARGV[2])
redis.call('ZADD', extras, now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', extras, '-inf', now - tonumber(ARGV[3]))
return 1
