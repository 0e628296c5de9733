-- resume 1: ends the pause of a queue or of a kind, and brings what was put aside of the kind back to the head of the queue.
--
-- KEYS  1 control  2 ready  3 wake  4 parked of the kind (any key of the queue when the queue is resumed)
-- ARGV  1 field of control, '*' or 'kind:<kind>'  2 bodies moved at most
-- Returns {bodies moved, bodies still aside}: with some left it is called again.

redis.call('HDEL', KEYS[1], ARGV[1])
local moved = 0
if ARGV[1] ~= '*' then
  -- The one put aside last goes first: the head is the last to be pushed.
  while moved < tonumber(ARGV[2]) and redis.call('LMOVE', KEYS[4], KEYS[2], 'RIGHT', 'RIGHT') do
    moved = moved + 1
  end
end
if redis.call('LLEN', KEYS[3]) == 0 then
  redis.call('LPUSH', KEYS[3], '1')
end
return {moved, ARGV[1] ~= '*' and redis.call('LLEN', KEYS[4]) or 0}
