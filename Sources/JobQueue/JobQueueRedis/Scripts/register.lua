-- register 1: makes a worker known with a fresh lease.
--
-- KEYS  1 leases  2 inflight of the worker
-- ARGV  1 worker  2 lease in ms
-- Returns now.
--
-- The first write is HDEL, so that a worker can come and drain a Redis that is full.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', KEYS[2], '')
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return now
