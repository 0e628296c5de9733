-- enqueue 1: puts bodies on the queue of which some are for later, all or none. Bodies for now may simply be LPUSHed.
--
-- KEYS  1 ready  2 delayed  3 wake
-- ARGV  pairs of: due time in unix ms or 0 for now, body
-- Returns the number of bodies.
--
-- The first write is refused by a Redis over its maxmemory, and then nothing has been done.

local ready, delayed, wake = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local earliest = tonumber(first[2] or math.huge)
local sooner = false
for i = 1, #ARGV, 2 do
  local due = tonumber(ARGV[i])
  if due <= now then
    redis.call('LPUSH', ready, ARGV[i + 1])
  else
    redis.call('ZADD', delayed, due, ARGV[i + 1])
    sooner = sooner or due < earliest
  end
end
-- One worker sets its timer anew; all look once a second in any case.
if sooner and redis.call('LLEN', wake) == 0 then
  redis.call('LPUSH', wake, '1')
end
return #ARGV / 2
