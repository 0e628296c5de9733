-- admit 1: lets a job with keys onto the queue, into the waiting list of its key, or nowhere. For one that is put, and for one that a
-- worker has claimed and that has not passed its keys (it was pushed plainly, or is due only now).
--
-- KEYS  1 ready  2 delayed  3 wake  4 unique  5 inflight of the worker  6 waiting  7 slots of its key  8 waiting list of its key
--       9 rate of its key (6 to 9 are not touched where the job has no such key)
-- ARGV  1 token, or '' for a job that is put  2 due time in unix ms or 0  3 body, marked as admitted  4 job id
--       5 unique key or ''  6 1 when it owns that key already  7 slot key or ''  8 jobs at a time
--       9 ms between two starts or 0  10 ms that a start may come before its time
-- Returns {'ADMITTED', ''}: it is on the queue, or the worker may run it; {'DUPLICATE', job id}: another has its unique key;
--         {'WAITING', ''}; {'DELAYED', unix ms}; {'STALE', ''}: the claim is gone.
--
-- For a claimed job the first write is HDEL. For one that is put it is a write that a Redis over its maxmemory refuses, and then
-- nothing has been done.

local ready, delayed, wake, uniques, inflight, waiting, slots, line, rate = unpack(KEYS)
local token, due, body, job, unique = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if token ~= '' then
  if redis.call('HEXISTS', inflight, token) == 0 then
    return {'STALE', ''}
  end
  redis.call('HDEL', inflight, '')
end
if unique ~= '' and ARGV[6] ~= '1' then
  local owner = redis.call('HGET', uniques, unique)
  -- A claimed copy of the owner itself is run: it may be the only one left.
  if owner and (token == '' or owner ~= job) then
    return {'DUPLICATE', owner}
  end
  redis.call('HSET', uniques, unique, job)
end

local interval = tonumber(ARGV[9])
if interval > 0 then
  local mine = math.max(now, tonumber(redis.call('GET', rate) or now))
  due = math.max(due, math.floor(mine - tonumber(ARGV[10])))
  redis.call('SET', rate, string.format('%.3f', mine + interval), 'PX', math.ceil(mine + interval - now) + 1000)
end

if ARGV[7] ~= '' and redis.call('SISMEMBER', slots, job) == 0 then
  if redis.call('SCARD', slots) >= tonumber(ARGV[8]) then
    if token ~= '' then
      redis.call('HDEL', inflight, token)
    end
    redis.call('RPUSH', line, string.format('%.0f', due) .. ':' .. #job .. ':' .. job .. body)
    redis.call('HINCRBY', waiting, ARGV[7], 1)
    return {'WAITING', ''}
  end
  redis.call('SADD', slots, job)
end

if due > now then
  if token ~= '' then
    redis.call('HDEL', inflight, token)
  end
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  redis.call('ZADD', delayed, due, body)
  if due < tonumber(first[2] or math.huge) and redis.call('LLEN', wake) == 0 then
    redis.call('LPUSH', wake, '1')
  end
  return {'DELAYED', due}
end
if token ~= '' then
  redis.call('HSET', inflight, token, body)
else
  redis.call('LPUSH', ready, body)
end
return {'ADMITTED', ''}
