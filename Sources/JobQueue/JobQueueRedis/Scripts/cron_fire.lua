-- cron_fire 2: puts the jobs of an entry's ticks on the queue and marks the last of them, in one step: whoever asks, and however often, a
-- tick that is not later than the last one changes nothing, nor does one whose time has not come by the clock of Redis.
--
-- KEYS  1 cron:<entry>  2 ready  3 unique
-- ARGV  1 'allow', 'skip' or 'queue-one'
--       then fours of: tick in unix ms (ascending), job id, unique key of the job (looked at unless 'allow'), body
-- Returns {now, 1 when a tick waits for the end of the job before, fired ticks, ticks that were passed over}
--
-- Unless 'allow', the job owns its unique key from here to its end, wherever it waits meanwhile: whether the job before has come to its
-- end is one look-up. The first write is refused by a Redis over its maxmemory, and then nothing has been done.

local entry, ready, uniques = unpack(KEYS)
local overlap = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', entry, 'last', 'paused')
local last = tonumber(known[1] or '')
-- Unknown: it was forgotten (an emptied Redis); the next look makes it known again.
if not last or known[2] then
  return {now, 0, {}, {}}
end

local fired, skipped, waiting = {}, {}, 0
for i = 2, #ARGV, 4 do
  local tick, job, unique, body = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if tick > last and tick <= now then
    local busy = overlap ~= 'allow' and redis.call('HEXISTS', uniques, unique) == 1
    if busy and overlap == 'queue-one' then
      waiting = 1
      break
    end
    if busy then
      skipped[#skipped + 1] = tick
    else
      redis.call('LPUSH', ready, body)
      fired[#fired + 1] = tick
      if overlap ~= 'allow' then
        redis.call('HSET', uniques, unique, job)
      end
    end
    last = tick
  end
end
if #fired > 0 then
  redis.call('HSET', entry, 'last', last, 'fired', fired[#fired])
elseif #skipped > 0 then
  redis.call('HSET', entry, 'last', last)
end
return {now, waiting, fired, skipped}
