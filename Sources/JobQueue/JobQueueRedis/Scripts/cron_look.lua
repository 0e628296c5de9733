-- cron_look 2: tells where cron entries stand, and makes those known that are new.
--
-- KEYS  cron:<entry> of each entry
-- ARGV  the text of each entry's schedule, then for how many ms an entry is remembered that nobody looks at
-- Returns {now, then for each entry: last tick in unix ms, 1 when paused, tick that was fired last or -1}
--
-- An entry's hash has `last`, `paused`, `fired` and, for each schedule it has had, `since:<schedule>`: when that was first heard of. Ticks
-- from before are none. `seen` is the day on which somebody last looked. The first write is refused by a Redis over its maxmemory, and then the entry is not known.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local keep = tonumber(ARGV[#KEYS + 1])
local reply = {now}
for i, entry in ipairs(KEYS) do
  local since = 'since:' .. ARGV[i]
  local known = redis.call('HMGET', entry, 'last', 'paused', 'fired', since, 'seen')
  local last = tonumber(known[1] or '')
  local from = tonumber(known[4] or '')
  if not last then
    last, from = now, now
    redis.call('HSET', entry, 'last', now, since, now)
  elseif not from then
    from = now
    redis.call('HSET', entry, since, now)
  end
  -- Once a day: most looks write nothing.
  if now - tonumber(known[5] or 0) > 86400000 then
    redis.call('HSET', entry, 'seen', now)
    redis.call('PEXPIRE', entry, keep)
  end
  reply[#reply + 1] = math.max(last, from)
  reply[#reply + 1] = known[2] and 1 or 0
  reply[#reply + 1] = tonumber(known[3] or '-1')
end
return reply
