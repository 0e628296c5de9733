-- arrive 1: puts a body on the queue that comes from another one, once for each number.
--
-- KEYS  1 arrived:<queue that it comes from>:<number>  2 ready  3 delayed  4 wake  5 history
-- ARGV  1 due time in unix ms or 0  2 body  3 job id  4 its history, lines of JSON, or ''  5 ms that the number is remembered
-- Returns 1, or 0 when it was here before.
--
-- The first write is refused by a Redis over its maxmemory, and then nothing has been done.

local arrived, ready, delayed, wake, history = unpack(KEYS)
local due, body = tonumber(ARGV[1]), ARGV[2]
if redis.call('EXISTS', arrived) == 1 then
  return 0
end
redis.call('SET', arrived, '1', 'PX', ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if due > now then
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  redis.call('ZADD', delayed, due, body)
  if due < tonumber(first[2] or math.huge) and redis.call('LLEN', wake) == 0 then
    redis.call('LPUSH', wake, '1')
  end
else
  redis.call('LPUSH', ready, body)
end
if ARGV[4] ~= '' then
  redis.call('HSET', history, ARGV[3], ARGV[4])
end
return 1
