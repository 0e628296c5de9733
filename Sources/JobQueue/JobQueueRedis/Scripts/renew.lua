-- renew 1: a sign of life between steps, and what every worker does for all: delayed bodies become ready, dead peers are noticed.
--
-- KEYS  1 leases  2 inflight of the worker  3 delayed  4 ready  5 retired  6 control  7 inhand  8 woken of the worker  9 moving
--       10 arriving
-- ARGV  1 worker  2 lease in ms  3 bytes after which no more delayed bodies are moved
-- Returns {'FENCED', now}: the worker's lease was taken over and nothing was done; or
--         {'OK', now, time of the next delayed body or -1, 1 when our own lease had run out unnoticed, bodies in our hands,
--          time when the next lease runs out, workers whose lease has run out, retired members that are due for a sweep,
--          1 when nothing can be claimed because the queue is paused or its workers hold all that it allows,
--          bodies that could be claimed, number of the last cancellation, bodies on their way from or to another queue,
--          1 when jobs are kept aside because a worker had no handler for them}
--
-- The first write is HDEL: see step.

local leases, inflight, delayed, ready, retired, control, inhand, woken, moving, arriving = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = redis.call('ZSCORE', leases, ARGV[1])
if not mine then
  return {'FENCED', now}
end
redis.call('HDEL', inflight, '')
redis.call('ZADD', leases, now + tonumber(ARGV[2]), ARGV[1])

local nextDue = -1
local bytes = 0
for _ = 1, 200 do
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if #first == 0 then
    nextDue = -1
    break
  end
  nextDue = tonumber(first[2])
  if nextDue > now or bytes > tonumber(ARGV[3]) then
    break
  end
  bytes = bytes + #first[1]
  redis.call('LPUSH', ready, first[1])
  redis.call('ZREM', delayed, first[1])
end

local expired = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 16)
local sweeps = redis.call('ZRANGEBYSCORE', retired, '-inf', now, 'LIMIT', 0, 16)
local first = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')
local late = 0
if tonumber(mine) < now then
  late = 1
end
local held = redis.call('HEXISTS', control, '*')
local said = redis.call('HMGET', control, 'concurrency', 'cancels')
local room = said[1]
if room then
  room = tonumber(room)
  redis.call('HSET', inhand, ARGV[1], redis.call('HLEN', inflight))
  for _, count in ipairs(redis.call('HVALS', inhand)) do
    room = room - tonumber(count)
  end
  if room <= 0 then
    held = 1
  end
end
local unhandled = 0
for _, field in ipairs(redis.call('HKEYS', control)) do
  if string.sub(field, 1, 6) == 'kind:?' then
    unhandled = 1
  end
end
local waiting = redis.call('LLEN', ready) + redis.call('LLEN', woken)
return {
  'OK', now, nextDue, late, redis.call('HLEN', inflight), tonumber(first[2]), expired, sweeps, held, waiting, tonumber(said[2] or 0),
  redis.call('HLEN', moving) + redis.call('HLEN', arriving), unhandled,
}
