-- find 1: looks through one page of a place for members that carry a text.
--
-- KEYS  1 the place
-- ARGV  1 'list', 'zset' or 'hash'  2 members passed over  3 members looked at, at most  4 '1' from the left or lowest, '0' from the
--       right or highest (a hash is one page)  5 text, '' for any  6 bytes after which a page ends
-- Returns {members looked at, 1 when there may be more, members found, the score or field of each}

local kind, offset, most, forward, text = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5]
local seen, bytes, members, extras = 0, 0, {}, {}
local function look(member, extra)
  seen = seen + 1
  if text == '' or string.find(member, text, 1, true) then
    members[#members + 1] = member
    extras[#extras + 1] = extra
    bytes = bytes + #member
  end
end

if kind == 'hash' then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    look(all[i + 1], all[i])
  end
  return {seen, 0, members, extras}
end
local chunk = text == '' and 16 or 250
while seen < most and bytes < tonumber(ARGV[6]) do
  local from = offset + seen
  local size = math.min(chunk, most - seen)
  local count
  if kind == 'list' then
    local page = forward and redis.call('LRANGE', KEYS[1], from, from + size - 1) or redis.call('LRANGE', KEYS[1], -from - size, -from - 1)
    count = #page
    for i = 1, count do
      look(page[forward and i or count + 1 - i], '')
    end
  else
    local page = redis.call(forward and 'ZRANGE' or 'ZREVRANGE', KEYS[1], from, from + size - 1, 'WITHSCORES')
    count = #page / 2
    for i = 1, #page, 2 do
      look(page[i], page[i + 1])
    end
  end
  if count < size then
    return {seen, 0, members, extras}
  end
end
return {seen, 1, members, extras}
