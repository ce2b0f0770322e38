-- Put jobs, out of the arguments from a place on: number of bodies, then body id and body ..., number of jobs, then
-- queue, 1 if it is ordered else 0, lane, job id, group, time ('' for now), data, body id ('' for none) ...
-- A job whose id is known is left out. Returns how many were put, and the place of the first argument behind.
local function put_jobs(prefix, arguments, place, now)
  local bodies = {}
  local count = tonumber(arguments[place])
  place = place + 1
  for _ = 1, count do
    bodies[arguments[place]] = arguments[place + 1]
    place = place + 2
  end
  count = tonumber(arguments[place])
  place = place + 1
  local added, made = 0, string.format('%.0f', math.floor(now))
  for _ = 1, count do
    local lane, id, body = arguments[place + 2], arguments[place + 3], arguments[place + 7]
    local q = queue(prefix, arguments[place], arguments[place + 1])
    if redis.call('EXISTS', q.job .. id) == 0 then
      local due = arguments[place + 5]
      if due == '' then
        due = made
      end
      redis.call('HSET', q.job .. id, 'lane', lane, 'group', arguments[place + 4], 'attempt', 0, 'created', made,
        'due', due, 'data', arguments[place + 6])
      if body ~= '' then
        redis.call('HSET', q.job .. id, 'body', body)
        if redis.call('HINCRBY', prefix .. 'body:' .. body, 'uses', 1) == 1 then
          redis.call('HSET', prefix .. 'body:' .. body, 'body', bodies[body])
        end
      end
      redis.call('ZADD', q.due, due, id)
      if q.ordered then
        redis.call('RPUSH', q.lane .. lane, id)
      else
        redis.call('ZADD', q.lane .. lane, due, id)
      end
      set_lane(q, lane, now)
      added = added + 1
    end
    place = place + 8
  end
  return added, place
end
