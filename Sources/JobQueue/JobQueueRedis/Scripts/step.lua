-- step 1: tells the outcomes of a worker, renews its lease and claims, in one round trip.
--
-- KEYS  1 ready  2 inflight of the worker  3 woken of the worker  4 leases  5 delayed  6 dead  7 history  8 redeliveries
--       9 control  10 unique  11 waiting  12 inhand  13 cancels, then the keys that lists below name by their number: slots of a key
--       with its waiting list behind it, parked bodies of a kind, the report of a job
-- ARGV  1 worker  2 lease in ms  3 bodies wanted  4 token of the first claimed body, the others count on from it
--       5 bytes after which a claim, or the moving of delayed bodies, stops growing  6 attempts kept in a history
--       7 number of the last cancellation that the worker has heard of
--       then eight lists, each headed by its number of items:
--         endings     token, job id, number of its report in KEYS, ms that it is kept, state, reason, result, history entry or ''
--         acks        token
--         forgotten   id of a job whose history goes with its ack
--         retries     token, delay in ms, new body, job id or '', history entry or ''
--         burials     token, record for the dead set, job id or '', history entry or '', and its keys (see ends)
--         returns     token, the highest first
--         ends        token of an ack, then the keys that go with it: job id, unique key or '', slot key or '', number of its slots
--                     in KEYS, jobs at a time
--         parks       token, the lowest first, field of control, number of the parked list in KEYS
-- Returns {'FENCED', now}: the worker's lease was taken over and nothing was done; or
--         {'OK', now, outcomes whose token was gone, bodies ready, time of the next delayed body or -1,
--          claimed bodies, their redeliveries (empty when none has any), 1 when nothing can be claimed because the queue is
--          paused or its workers hold all that it allows, kinds that are paused, number of the last cancellation, ids of the jobs
--          that were cancelled since the one in ARGV 7}
--
-- Bodies are never parsed. The first write is HDEL, which a Redis over its maxmemory allows, and after it the others: a full Redis
-- can always be drained.

local ready, inflight, woken, leases, delayed, dead, history, redeliveries, control, uniques, waiting, inhand,
  cancels = unpack(KEYS)
local worker = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not redis.call('ZSCORE', leases, worker) then
  return {'FENCED', now}
end

local cursor = 8
local function take()
  local value = ARGV[cursor]
  cursor = cursor + 1
  return value
end

local stale = 0
-- Only after a worker was lost: then an outcome also forgets how often its body was redelivered.
local counted = redis.call('EXISTS', redeliveries) == 1

local function settle(token)
  if counted then
    local body = redis.call('HGET', inflight, token)
    if body then
      redis.call('HDEL', redeliveries, redis.sha1hex(body))
    end
  end
  if redis.call('HDEL', inflight, token) == 1 then
    return true
  end
  stale = stale + 1
  return false
end

local function remember(job, entry)
  if job == '' or entry == '' then
    return
  end
  local lines = redis.call('HGET', history, job)
  if lines then
    entry = lines .. '\n' .. entry
    local _, breaks = string.gsub(entry, '\n', '\n')
    for _ = 1, breaks + 1 - tonumber(ARGV[6]) do
      entry = string.sub(entry, string.find(entry, '\n', 1, true) + 1)
    end
  end
  redis.call('HSET', history, job, entry)
end

-- Lets a job's keys go and lets in who waits for them.
local function free(job, unique, key, place, limit)
  if unique ~= '' and redis.call('HGET', uniques, unique) == job then
    redis.call('HDEL', uniques, unique)
  end
  if key == '' then
    return
  end
  local slots, line = KEYS[place], KEYS[place + 1]
  redis.call('SREM', slots, job)
  while redis.call('SCARD', slots) < limit do
    local entry = redis.call('LPOP', line)
    if not entry then
      break
    end
    local due, length, from = string.match(entry, '^(%d+):(%d+):()')
    local following = string.sub(entry, from, from + length - 1)
    local body = string.sub(entry, from + length)
    redis.call('SADD', slots, following)
    if tonumber(due) > now then
      redis.call('ZADD', delayed, due, body)
    else
      redis.call('RPUSH', ready, body)
    end
    if redis.call('HINCRBY', waiting, key, -1) <= 0 then
      redis.call('HDEL', waiting, key)
    end
  end
end

-- What is remembered of a job beyond its end, told with the outcome that ends it.
for _ = 1, tonumber(take()) do
  local token, job, place, keep, state, reason, result, entry = take(), take(), tonumber(take()), take(), take(), take(), take(), take()
  if redis.call('HEXISTS', inflight, token) == 1 then
    local report = KEYS[place]
    redis.call('HDEL', inflight, '')
    remember(job, entry)
    redis.call('HSET', report, 'state', state, 'ended_at', now, 'reason', reason, 'result', result)
    local lines = redis.call('HGET', history, job)
    if lines and state ~= 'dead' then
      redis.call('HSET', report, 'history', lines)
      redis.call('HDEL', history, job)
    end
    redis.call('PEXPIRE', report, keep)
    redis.call('ZREM', cancels, job)
  end
end

local acks = tonumber(take())
if acks == 0 then
  redis.call('HDEL', inflight, '')
elseif counted then
  for _ = 1, acks do
    settle(take())
  end
else
  stale = acks - redis.call('HDEL', inflight, unpack(ARGV, cursor, cursor + acks - 1))
  cursor = cursor + acks
end

local forgotten = tonumber(take())
if forgotten > 0 then
  redis.call('HDEL', history, unpack(ARGV, cursor, cursor + forgotten - 1))
  cursor = cursor + forgotten
end

for _ = 1, tonumber(take()) do
  local token, delay, body, job, entry = take(), tonumber(take()), take(), take(), take()
  if settle(token) then
    if delay > 0 then
      redis.call('ZADD', delayed, now + delay, body)
    else
      redis.call('LPUSH', ready, body)
    end
    remember(job, entry)
  end
end

for _ = 1, tonumber(take()) do
  local token, record, job, entry = take(), take(), take(), take()
  local owner, unique, key, place, limit = take(), take(), take(), tonumber(take()), tonumber(take())
  if settle(token) then
    redis.call('ZADD', dead, now, record)
    remember(job, entry)
    free(owner, unique, key, place, limit)
  end
end

for _ = 1, tonumber(take()) do
  local token = take()
  local body = redis.call('HGET', inflight, token)
  if body then
    redis.call('HDEL', inflight, token)
    redis.call('RPUSH', ready, body)
  else
    stale = stale + 1
  end
end

for _ = 1, tonumber(take()) do
  local token, owner, unique, key, place, limit = take(), take(), take(), take(), tonumber(take()), tonumber(take())
  if settle(token) then
    free(owner, unique, key, place, limit)
  end
end

local resumed = {}
for _ = 1, tonumber(take()) do
  local token, field, place = take(), take(), tonumber(take())
  local body = redis.call('HGET', inflight, token)
  if body then
    redis.call('HDEL', inflight, token)
    if redis.call('HEXISTS', control, field) == 1 then
      redis.call('RPUSH', KEYS[place], body)
    else
      resumed[#resumed + 1] = body
    end
  else
    stale = stale + 1
  end
end
for i = #resumed, 1, -1 do
  redis.call('RPUSH', ready, resumed[i])
end

redis.call('ZADD', leases, now + tonumber(ARGV[2]), worker)

-- Delayed bodies whose time has come join the end of the queue.
local limit = tonumber(ARGV[5])
local nextDue = -1
local moved = 0
for _ = 1, 200 do
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if #first == 0 then
    nextDue = -1
    break
  end
  nextDue = tonumber(first[2])
  if nextDue > now or moved > limit then
    break
  end
  moved = moved + #first[1]
  redis.call('LPUSH', ready, first[1])
  redis.call('ZREM', delayed, first[1])
end

-- What operators have said.
local wanted = tonumber(ARGV[3])
local held = 0
local room
local pausedKinds = {}
local marked = 0
local cancelled = {}
local said = redis.call('HGETALL', control)
for i = 1, #said, 2 do
  if said[i] == '*' then
    held = 1
  elseif said[i] == 'concurrency' then
    room = tonumber(said[i + 1])
  elseif said[i] == 'cancels' then
    marked = tonumber(said[i + 1])
  else
    pausedKinds[#pausedKinds + 1] = string.sub(said[i], 6)
  end
end
if marked > tonumber(ARGV[7]) then
  cancelled = redis.call('ZRANGEBYSCORE', cancels, '(' .. ARGV[7], '+inf')
end
if room then
  room = room - redis.call('HLEN', inflight)
  local peers = redis.call('HGETALL', inhand)
  for i = 1, #peers, 2 do
    if peers[i] ~= worker then
      room = room - tonumber(peers[i + 1])
    end
  end
  if room <= 0 then
    held = 1
  end
  wanted = math.max(0, math.min(wanted, room))
end
if held == 1 then
  wanted = 0
end

-- What the blocking read has set aside comes first; without room for it it goes back to the head.
local claimed = {}
local bytes = 0
local aside = redis.call('LLEN', woken)
while aside > 0 and #claimed < wanted do
  local body = redis.call('RPOP', woken)
  claimed[#claimed + 1] = body
  bytes = bytes + #body
  aside = aside - 1
end
for _ = 1, aside do
  redis.call('LMOVE', woken, ready, 'LEFT', 'RIGHT')
end

-- One body first, to learn how large they are; then as many as fit.
local chunk = 1
while #claimed < wanted and bytes < limit do
  local bodies = redis.call('RPOP', ready, chunk)
  if not bodies then
    break
  end
  for _, body in ipairs(bodies) do
    claimed[#claimed + 1] = body
    bytes = bytes + #body
  end
  if #bodies < chunk then
    break
  end
  local average = math.max(1, bytes / #claimed)
  chunk = math.min(wanted - #claimed, math.max(1, math.floor((limit - bytes) / average)))
end

local counts = {}
if #claimed > 0 then
  local token = tonumber(ARGV[4])
  local fields = {}
  for i, body in ipairs(claimed) do
    fields[2 * i - 1] = token + i - 1
    fields[2 * i] = body
    if counted then
      counts[i] = tonumber(redis.call('HGET', redeliveries, redis.sha1hex(body)) or 0)
    end
  end
  redis.call('HSET', inflight, unpack(fields))
end

if room then
  redis.call('HSET', inhand, worker, redis.call('HLEN', inflight))
end

return {'OK', now, stale, redis.call('LLEN', ready), nextDue, claimed, counts, held, pausedKinds, marked, cancelled}
