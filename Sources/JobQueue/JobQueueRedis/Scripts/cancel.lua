-- cancel 1: marks a job as cancelled, so that whoever has it or claims it leaves off, or takes the mark back.
--
-- KEYS  1 cancels  2 control
-- ARGV  1 job id  2 ms that a mark is kept  3 '1' to set it, '0' to take it back
-- Returns 1, or 0 when there was no mark to take back.
--
-- Marks are numbered by the clock, each above the one before: workers ask for those that they have not heard of.

local cancels, control = unpack(KEYS)
if ARGV[3] == '0' then
  return redis.call('ZREM', cancels, ARGV[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local number = math.max(now, tonumber(redis.call('HGET', control, 'cancels') or 0) + 1)
redis.call('ZREMRANGEBYSCORE', cancels, '-inf', now - tonumber(ARGV[2]))
redis.call('ZADD', cancels, number, ARGV[1])
redis.call('PEXPIRE', cancels, ARGV[2])
redis.call('HSET', control, 'cancels', string.format('%.0f', number))
return 1
