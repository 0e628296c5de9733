-- publish 1: puts numbered bodies of a slot on the queue, once each: numbers not above the slot's last are skipped.
--
-- KEYS  1 published  2 ready  3 delayed  4 wake
-- ARGV  1 slot, then triples of: number (ascending, below 2^53), due time in unix ms or 0 for now, body
-- Returns how many were new.
--
-- The first write is refused by a Redis over its maxmemory, and then nothing has been done.

local published, ready, delayed, wake = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local earliest = tonumber(first[2] or math.huge)
local sooner = false
local last = tonumber(redis.call('HGET', published, ARGV[1]) or '-inf')
if not last then
  last = -math.huge
end
local latest
local fresh = 0
for i = 2, #ARGV, 3 do
  local number = tonumber(ARGV[i])
  if number > last then
    local due = tonumber(ARGV[i + 1])
    if due <= now then
      redis.call('LPUSH', ready, ARGV[i + 2])
    else
      redis.call('ZADD', delayed, due, ARGV[i + 2])
      sooner = sooner or due < earliest
    end
    last = number
    latest = ARGV[i]
    fresh = fresh + 1
  end
end
if latest then
  redis.call('HSET', published, ARGV[1], latest)
end
if sooner and redis.call('LLEN', wake) == 0 then
  redis.call('LPUSH', wake, '1')
end
return fresh
