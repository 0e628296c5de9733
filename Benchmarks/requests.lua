-- For wrk: sends prepared requests, each thread from a place of its own in the list, round and round.
--   wrk ... -s Benchmarks/requests.lua http://host:port <file>
-- The file holds each request as one line with its length in bytes, then the request itself.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  requests = {}
  local file = assert(io.open(arguments[1], "rb"))
  while true do
    local length = file:read("*l")
    if not length then
      break
    end
    requests[#requests + 1] = file:read(tonumber(length))
  end
  file:close()
  -- Two threads that walk in step would post the same ids at the same moment.
  place = number * 7919 % #requests
end

function request()
  place = place + 1
  if place > #requests then
    place = 1
  end
  return requests[place]
end
