-- cron_fire 1: puts the jobs of an entry's ticks on the queue and marks the last of them, in one step: whoever asks, and however often, a
-- tick that is not later than the last one changes nothing, nor does one whose time has not come by the clock of Redis.
--
-- KEYS  1 cron:<entry>  2 ready  3 delayed  4 history  5 leases  then inflight and woken of each worker that ARGV 2 names
-- ARGV  1 'allow', 'skip' or 'queue-one'  2 unless 'allow': the members of leases in the order of their bytes, parted by blanks
--       then triples of: tick in unix ms (ascending), job id, body
-- Returns {now, state, fired ticks, ticks that were passed over}; state 1 when a tick waits for the end of the job before, 2 when there
-- are other workers than those named and nothing was done, else 0
--
-- Whether the job before has come to its end is looked up where a body can be; that it is nowhere says that it has. The search of `ready`
-- takes as long as the list, once for a due tick. The first write is refused by a Redis over its maxmemory, and then nothing has been done.

local entry, ready, delayed, history, leases = unpack(KEYS)
local overlap = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', entry, 'last', 'paused', 'job', 'body')
local last = tonumber(known[1] or '')
-- Unknown: it was forgotten (an emptied Redis); the next look makes it known again.
if not last or known[2] then
  return {now, 0, {}, {}}
end

local function at_work(job, body)
  if not job then
    return false
  end
  -- A failed attempt has written the body anew with its number; the history knows which was the last.
  local attempt
  for number in string.gmatch(redis.call('HGET', history, job) or '', '"attempt":(%d+)') do
    attempt = number
  end
  if attempt then
    body = string.gsub(body, '"attempt":0,"enqueued_at":', '"attempt":' .. attempt .. ',"enqueued_at":', 1)
  end
  if redis.call('ZSCORE', delayed, body) or redis.call('LPOS', ready, body) then
    return true
  end
  local id = '"id":"' .. job .. '"'
  for i = 6, #KEYS, 2 do
    for _, held in ipairs(redis.call('HVALS', KEYS[i])) do
      if string.find(held, id, 1, true) then
        return true
      end
    end
    for _, held in ipairs(redis.call('LRANGE', KEYS[i + 1], 0, -1)) do
      if string.find(held, id, 1, true) then
        return true
      end
    end
  end
  return false
end

local busy = false
if overlap ~= 'allow' then
  local workers = redis.call('ZRANGE', leases, 0, -1)
  table.sort(workers)
  if table.concat(workers, ' ') ~= ARGV[2] then
    return {now, 2, {}, {}}
  end
  busy = at_work(known[3], known[4])
end

local fired, skipped, waiting, job, body = {}, {}, 0, nil, nil
for i = 3, #ARGV, 3 do
  local tick = tonumber(ARGV[i])
  if tick > last and tick <= now then
    if busy and overlap == 'queue-one' then
      waiting = 1
      break
    end
    if busy then
      skipped[#skipped + 1] = tick
    else
      job, body = ARGV[i + 1], ARGV[i + 2]
      redis.call('LPUSH', ready, body)
      fired[#fired + 1] = tick
      busy = overlap ~= 'allow'
    end
    last = tick
  end
end
if #fired > 0 then
  redis.call('HSET', entry, 'last', last, 'fired', fired[#fired])
  if overlap ~= 'allow' then
    redis.call('HSET', entry, 'job', job, 'body', body)
  end
elseif #skipped > 0 then
  redis.call('HSET', entry, 'last', last)
end
return {now, waiting, fired, skipped}
