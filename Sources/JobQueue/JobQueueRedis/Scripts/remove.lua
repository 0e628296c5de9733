-- remove 1: takes a body off the queue when it still stands where it was seen. Its keys are let go. It is gone then, or on its way to
-- another queue.
--
-- KEYS  1 place  2 unique  3 waiting  4 ready  5 delayed  6 slots of its key  7 waiting list of its key  8 report of the job  9 history
--       10 cancels  11 moving
-- ARGV  1 'list' or 'zset'  2 member of the place  3 job id or ''  4 unique key or ''  5 slot key or ''  6 jobs at a time
--       7 slot key in whose waiting list it stood, or ''
--       8 ms that the report is kept, or 0 for none  9 state  10 reason
--       11 number under which it moves, or ''  12 what is kept of it while it moves: due time, queue, body, parted by blanks
-- Returns 1, or 0 when it was not there (any more).
--
-- All of its copies are taken. The first write is LREM or ZREM, which a Redis over its maxmemory allows.

local place, uniques, waiting, ready, delayed, slots, line, report, history, cancels, moving = unpack(KEYS)
local member, job, unique, key, limit = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function fewer(name, count)
  if redis.call('HINCRBY', waiting, name, -count) <= 0 then
    redis.call('HDEL', waiting, name)
  end
end

local removed
if ARGV[1] == 'zset' then
  removed = redis.call('ZREM', place, member)
else
  removed = redis.call('LREM', place, 0, member)
end
if removed == 0 then
  return 0
end
if ARGV[7] ~= '' then
  fewer(ARGV[7], removed)
end
if unique ~= '' and redis.call('HGET', uniques, unique) == job then
  redis.call('HDEL', uniques, unique)
end
if key ~= '' then
  redis.call('SREM', slots, job)
  while redis.call('SCARD', slots) < limit do
    local entry = redis.call('LPOP', line)
    if not entry then
      break
    end
    local due, length, from = string.match(entry, '^(%d+):(%d+):()')
    redis.call('SADD', slots, string.sub(entry, from, from + length - 1))
    local body = string.sub(entry, from + length)
    if tonumber(due) > now then
      redis.call('ZADD', delayed, due, body)
    else
      redis.call('RPUSH', ready, body)
    end
    fewer(key, 1)
  end
end
if ARGV[11] ~= '' then
  redis.call('HSET', moving, ARGV[11], string.format('%.0f', now) .. ' ' .. ARGV[12])
  return 1
end
if job ~= '' then
  redis.call('ZREM', cancels, job)
  if ARGV[8] ~= '0' then
    redis.call('HSET', report, 'state', ARGV[9], 'ended_at', now, 'reason', ARGV[10], 'result', '')
    local lines = redis.call('HGET', history, job)
    if lines then
      redis.call('HSET', report, 'history', lines)
    end
    redis.call('PEXPIRE', report, ARGV[8])
  end
  redis.call('HDEL', history, job)
end
return 1
