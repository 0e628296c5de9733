-- turn 1: a turn among the calls to one dependency, so many a second for all that call it, by the server's clock.
--
-- KEYS  1 hash: next (when the next call would be on time, ms); gone when that is past
-- ARGV  1 ms between two calls  2 ms that calls may run ahead of an even pace  3 ms that the caller would wait at most
-- Returns {1, ms to wait} with a place kept, {0, ms until there is one} without
--
-- The first write is HDEL, which a full Redis allows, and after it the others.

local key = KEYS[1]
local interval, early, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

local next = math.max(tonumber(redis.call('HGET', key, 'next')) or 0, now)
local wait = math.max(0, next - early - now)
if wait > patience then return {0, math.ceil(wait)} end
next = next + interval
redis.call('HDEL', key, '')
redis.call('HSET', key, 'next', string.format('%.3f', next))
redis.call('PEXPIRE', key, math.max(1, math.ceil(next - now)))
return {1, math.ceil(wait)}
