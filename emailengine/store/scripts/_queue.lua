-- One queue: `q` is a table of its names, made once in each script. See queue.py for what its keys hold.
local function queue(prefix, name, ordered)
  local q = {prefix = prefix, ordered = tostring(ordered) == '1'}
  for _, kind in ipairs({'groups', 'at', 'held', 'busy', 'load', 'due', 'past', 'done'}) do
    q[kind] = prefix .. kind .. ':' .. name
  end
  for _, kind in ipairs({'ready', 'lane', 'job'}) do
    q[kind] = prefix .. kind .. ':' .. name .. ':'
  end
  return q
end

-- A group waits since its first lane does.
local function set_group(q, group)
  local first = redis.call('ZRANGE', q.ready .. group, 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', q.groups, first[2], group)
  else
    redis.call('ZREM', q.groups, group)
  end
end

-- Take a job out of its lane.
local function unlist(q, id, lane)
  if q.ordered then
    redis.call('LREM', q.lane .. lane, 1, id)
  else
    redis.call('ZREM', q.lane .. lane, id)
  end
  redis.call('ZREM', q.due, id)
end

-- The job of a lane that goes next, or nil. One that somebody else removed is forgotten, lest it stop all others.
local function head(q, lane)
  while true do
    local id
    if q.ordered then
      id = redis.call('LINDEX', q.lane .. lane, 0) or nil
    else
      id = redis.call('ZRANGE', q.lane .. lane, 0, 0)[1]
    end
    if not id or redis.call('EXISTS', q.job .. id) == 1 then
      return id
    end
    unlist(q, id, lane)
  end
end

-- Let a lane wait for its turn as its jobs ask for, unless one of them is at work. A lane that waits already keeps its
-- place among those of its group.
local function set_lane(q, lane, now)
  if redis.call('HEXISTS', q.held, lane) == 1 then
    return
  end
  local before = redis.call('HGET', q.at, lane)
  local id = head(q, lane)
  local group, since
  if id then
    local stored = redis.call('HMGET', q.job .. id, 'group', 'due')
    local due = tonumber(stored[2])
    group, since = stored[1], math.max(due, now)
    if before and due <= now then
      local waits = tonumber(redis.call('ZSCORE', q.ready .. before, lane))
      since = math.min(since, waits)
    end
  end
  if before and before ~= group then
    redis.call('ZREM', q.ready .. before, lane)
    redis.call('HDEL', q.at, lane)
    set_group(q, before)
  end
  if group then
    redis.call('ZADD', q.ready .. group, since, lane)
    if before ~= group then
      redis.call('HSET', q.at, lane, group)
    end
    set_group(q, group)
  end
end

-- The lane and the group of a job that is at work under this attempt number; nil if it is not.
local function working(q, id, attempt)
  local stored = redis.call('HMGET', q.job .. id, 'lane', 'group', 'attempt')
  if stored[3] == attempt and redis.call('HGET', q.held, stored[1]) == id then
    return stored[1], stored[2]
  end
  return nil
end

-- A job is at work no more: its lane and its group are free again.
local function release(q, id, lane, group, now)
  redis.call('HDEL', q.held, lane)
  redis.call('ZREM', q.busy, id)
  if redis.call('HINCRBY', q.load, group, -1) <= 0 then
    redis.call('HDEL', q.load, group)
  end
  set_group(q, group)
  set_lane(q, lane, now)
end

-- Free the lanes of jobs at work that somebody else removed, and count anew what is at work in each group.
local function mend(q, now)
  local held = redis.call('HGETALL', q.held)
  redis.call('DEL', q.load)
  for place = 1, #held, 2 do
    local lane, id = held[place], held[place + 1]
    local group = redis.call('HGET', q.job .. id, 'group')
    if group then
      redis.call('HINCRBY', q.load, group, 1)
    else
      redis.call('HDEL', q.held, lane)
      redis.call('ZREM', q.busy, id)
      unlist(q, id, lane)
      set_lane(q, lane, now)
    end
  end
  for _, group in ipairs(redis.call('HVALS', q.at)) do
    set_group(q, group)
  end
end

-- Give back the jobs whose lease has ended.
local function end_leases(q, now)
  local ended = redis.call('ZRANGEBYSCORE', q.busy, '-inf', now, 'LIMIT', 0, 100)
  for _, id in ipairs(ended) do
    local stored = redis.call('HMGET', q.job .. id, 'lane', 'group', 'due')
    if stored[1] then
      redis.call('ZADD', q.due, stored[3], id)
      release(q, id, stored[1], stored[2], now)
    else
      mend(q, now)
    end
  end
end

-- Take a job out of its lane, and give its body back.
local function leave(q, id, lane)
  unlist(q, id, lane)
  local body = redis.call('HGET', q.job .. id, 'body')
  if body then
    body = q.prefix .. 'body:' .. body
    if redis.call('HINCRBY', body, 'uses', -1) <= 0 then
      redis.call('UNLINK', body)
    end
  end
end

-- A job as `queue.py: _job` takes it.
local function described(q, id)
  local job = redis.call('HMGET', q.job .. id, 'lane', 'group', 'attempt', 'created', 'due', 'data', 'mark', 'error',
    'progress', 'body')
  table.insert(job, 1, id)
  return job
end

-- Forget who was given up a week ago, and all but the last `keep`.
local function trim_past(q, now, keep)
  local over = redis.call('ZRANGEBYSCORE', q.past, '-inf', now - 604800000, 'LIMIT', 0, 1000)
  local count = redis.call('ZCARD', q.past)
  if count - #over > keep then
    over = redis.call('ZRANGE', q.past, 0, math.min(count - keep, 1000) - 1)
  end
  for _, id in ipairs(over) do
    redis.call('DEL', q.job .. id)
    redis.call('ZREM', q.past, id)
  end
end
