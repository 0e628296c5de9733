-- breaker 1: one question to, or one word about, the breaker of one dependency, by the server's clock.
--
-- KEYS  1 the breaker's hash: failures, first (failure, ms), open (until, ms; absent while closed), openings, probe (until, ms)
--       2 sorted set of known breakers: dependency → when it was last asked, ms
-- ARGV  1 'admit', 'success', 'failure' or 'reset'  2 dependency  3 '1' when the word is a probe's
--       4 failures that open  5 within ms  6 open for ms  7 open at most ms  8 probe for ms
-- Returns {'pass' | 'probe' | 'refused' | 'closed' | 'open' | 'half_open', ms until the next try or 0}
--
-- The first write is HDEL, which a full Redis allows, and after it the others.

local key, known = KEYS[1], KEYS[2]
local word, dependency, probe = ARGV[1], ARGV[2], ARGV[3] == '1'
local failuresMax, within, openFor, openMax, probeFor =
  tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local day = 86400000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local values = redis.call('HMGET', key, 'failures', 'first', 'open', 'openings', 'probe')
local failures, first, open, openings, probeUntil =
  tonumber(values[1]) or 0, tonumber(values[2]) or 0, tonumber(values[3]) or 0, tonumber(values[4]) or 0, tonumber(values[5]) or 0

local function standing()
  if open == 0 then return {'closed', 0} end
  if now < open then return {'open', open - now} end
  return {'half_open', 0}
end

local function keep()
  redis.call('HDEL', key, '')
  redis.call('HSET', key, 'failures', failures, 'first', first, 'open', open, 'openings', openings, 'probe', probeUntil)
  redis.call('PEXPIRE', key, day)
end

if word == 'admit' then
  redis.call('HDEL', key, '')
  redis.call('ZADD', known, now, dependency)
  redis.call('ZREMRANGEBYSCORE', known, '-inf', now - day)
  if open == 0 then return {'pass', 0} end
  if now < open then return {'refused', open - now} end
  if now < probeUntil then return {'refused', math.min(probeUntil - now, openFor)} end
  probeUntil = now + probeFor
  keep()
  return {'probe', 0}
end

if word == 'reset' then
  redis.call('HDEL', key, 'failures', 'first', 'open', 'openings', 'probe')
  return {'closed', 0}
end

if open > 0 and not probe then return standing() end
if word == 'success' then
  redis.call('HDEL', key, 'failures', 'first', 'open', 'openings', 'probe')
  return {'closed', 0}
end
if open == 0 and (failures == 0 or now - first > within) then
  failures = 0
  first = now
end
failures = failures + 1
if open > 0 or failures >= failuresMax then
  open = now + math.min(openFor * 2 ^ math.min(openings, 20), openMax)
  openings = openings + 1
  probeUntil = 0
end
keep()
return standing()
