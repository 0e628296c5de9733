-- count 1: how many stand where, at one moment.
--
-- KEYS  1 leases  2 waiting  then the keys to count
-- ARGV  1 the workers that the caller knows, in the order of the leases, parted by blanks, then the command that counts each key
-- Returns {workers, jobs that wait for a slot, then a number for each key}; nothing when there are other workers by now.

local workers = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(workers)
if table.concat(workers, ' ') ~= ARGV[1] then
  return {}
end
local waiting = 0
for _, count in ipairs(redis.call('HVALS', KEYS[2])) do
  waiting = waiting + tonumber(count)
end
local counts = {#workers, waiting}
for i = 3, #KEYS do
  counts[i] = redis.call(ARGV[i - 1], KEYS[i])
end
return counts
