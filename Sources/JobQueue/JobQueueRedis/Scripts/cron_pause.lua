-- cron_pause 1: lets a cron entry rest, or run again. Ticks of the pause do not come back.
--
-- KEYS  1 cron:<entry>
-- ARGV  1 '1' to pause, '0' to resume
-- Returns 1, or 0 when it was so before or the entry is not known.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'last', 'paused')
local last = tonumber(known[1] or '')
if not last or (ARGV[1] == '1') == (known[2] ~= false) then
  return 0
end
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'paused', now)
else
  redis.call('HDEL', KEYS[1], 'paused')
  redis.call('HSET', KEYS[1], 'last', math.max(last, now))
end
return 1
