-- uses now
-- uses queue
-- uses state
-- List jobs that are not finished: delayed and waiting by the time they are due, active by the time of their claim,
-- failed by the time they were given up.
-- ARGV: prefix, queue, ordered, how many to skip, how many to list
-- Returns how many there are, then for each its state and the job as `described`.
local q, now = queue(ARGV[1], ARGV[2], ARGV[3]), clock()
local skip, most = tonumber(ARGV[4]), tonumber(ARGV[5])
trim_past(q, now, math.huge)

local claimed = {}
local busy = redis.call('ZRANGE', q.busy, 0, -1)
for _, id in ipairs(busy) do
  claimed[id] = tonumber(redis.call('HGET', q.job .. id, 'claimed'))
end
table.sort(busy, function(one, other) return claimed[one] < claimed[other] end)

local after = '(' .. string.format('%.17g', now)
local found = {0}
local function add(what, count, read)
  found[1] = found[1] + count
  if skip < count and most > 0 then
    local ids = read(skip, math.min(most, count - skip))
    for _, id in ipairs(ids) do
      local job = listed(q, id, what)
      if job[3] then -- else it has expired
        found[#found + 1] = job
      end
    end
    most = most - #ids
  end
  skip = math.max(0, skip - count)
end
add('delayed', redis.call('ZCOUNT', q.due, after, '+inf'), function(first, many)
  return redis.call('ZRANGEBYSCORE', q.due, after, '+inf', 'LIMIT', first, many)
end)
add('waiting', redis.call('ZCOUNT', q.due, '-inf', now), function(first, many)
  return redis.call('ZRANGEBYSCORE', q.due, '-inf', now, 'LIMIT', first, many)
end)
add('active', #busy, function(first, many)
  local ids = {}
  for place = first + 1, first + many do
    ids[#ids + 1] = busy[place]
  end
  return ids
end)
add('failed', redis.call('ZCARD', q.past), function(first, many)
  return redis.call('ZRANGE', q.past, first, first + many - 1)
end)
return found
