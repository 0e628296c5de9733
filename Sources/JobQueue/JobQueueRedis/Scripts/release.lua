-- release 1: takes a worker off and puts what it held back to the head of the queue.
--
-- KEYS  1 leases  2 inflight of the worker  3 woken of the worker  4 ready  5 redeliveries  6 retired  7 inhand
-- ARGV  1 worker
--       2 'expired': only when its lease has run out; each body counts one redelivery, however many copies of it
--         'retired': at its own wish; nothing is counted
--         'sweep': what a blocking read may have set aside after the worker was taken off
--       3 ms until the first sweep  4 ms until the last  5 seconds that redeliveries are remembered
--       6 the member of the retired set that this sweep is for, or ''
-- Returns {'ALIVE' | 'GONE' | 'DONE', bodies put back}
--
-- A worker's blocking read can be answered after its worker was taken off: it is swept again then, twice, each a member of the
-- retired set. The first write is HDEL: see step.

local leases, inflight, woken, ready, redeliveries, retired, inhand = unpack(KEYS)
local worker, how = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('ZSCORE', leases, worker)
if how == 'expired' then
  if not lease then
    return {'GONE', 0}
  end
  if tonumber(lease) > now then
    return {'ALIVE', 0}
  end
end

local held = redis.call('HGETALL', inflight)
redis.call('HDEL', inflight, '')
local moved = 0
-- Set aside after the others were claimed, so put back before them: the head is the last to be pushed.
while redis.call('LMOVE', woken, ready, 'LEFT', 'RIGHT') do
  moved = moved + 1
end
local bodies = {}
for i = 1, #held, 2 do
  bodies[#bodies + 1] = {tonumber(held[i]), held[i + 1]}
end
table.sort(bodies, function(a, b) return a[1] > b[1] end)
-- A producer may have pushed one body several times: its worker was lost once all the same.
local blamed = {}
for _, claim in ipairs(bodies) do
  redis.call('RPUSH', ready, claim[2])
  if how == 'expired' then
    local digest = redis.sha1hex(claim[2])
    if not blamed[digest] then
      blamed[digest] = true
      redis.call('HINCRBY', redeliveries, digest, 1)
    end
  end
  moved = moved + 1
end
if #bodies > 0 and how == 'expired' then
  redis.call('EXPIRE', redeliveries, ARGV[5])
end
redis.call('DEL', inflight)
redis.call('HDEL', inhand, worker)
redis.call('ZREM', leases, worker)
if how == 'sweep' then
  redis.call('ZREM', retired, ARGV[6])
elseif lease then
  redis.call('ZADD', retired, now + tonumber(ARGV[3]), '1:' .. worker, now + tonumber(ARGV[4]), '2:' .. worker)
end
return {'DONE', moved}
