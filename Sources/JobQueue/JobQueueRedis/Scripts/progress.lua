-- progress 1: remembers how far a job has come, told by the worker that has it in hand.
--
-- KEYS  1 leases  2 inflight of the worker  3 report of the job
-- ARGV  1 worker  2 token  3 progress, one line of JSON  4 ms that it is kept
-- Returns 1, or 0 when the claim is gone and nothing was done.

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return 0
end
local time = redis.call('TIME')
-- What is known of an earlier life of the job (it was replayed) is over.
redis.call('HDEL', KEYS[3], 'state', 'ended_at', 'reason', 'result')
redis.call('HSET', KEYS[3], 'progress', ARGV[3], 'progress_at', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
