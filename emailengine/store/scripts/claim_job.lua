-- uses now
-- uses queue
-- Take the job of the lane that has waited longest, of a group below its limit. Its attempt number is raised.
-- ARGV: prefix, queue, ordered, milliseconds of the lease, jobs of one group at work
-- Returns 'job', the job as `described`, and its body (nil without one or where it is large);
-- or 'wait' and the milliseconds until a lane is due or a lease ends (nil if there is neither).
local q, now = queue(ARGV[1], ARGV[2], ARGV[3]), clock()
end_leases(q, now)
while true do
  local group = redis.call('ZRANGEBYSCORE', q.groups, '-inf', now, 'LIMIT', 0, 1)[1]
  if not group then
    break
  end
  if tonumber(redis.call('HGET', q.load, group) or 0) >= tonumber(ARGV[5]) then
    redis.call('ZREM', q.groups, group) -- comes back when one of its lanes is free again
  else
    local lane = redis.call('ZRANGE', q.ready .. group, 0, 0)[1]
    redis.call('ZREM', q.ready .. group, lane)
    redis.call('HDEL', q.at, lane)
    set_group(q, group)
    local id = head(q, lane)
    local job = id and described(q, id)
    if job and tonumber(job[6]) > now then -- the one before it was removed by others
      set_lane(q, lane, now)
    elseif job then
      redis.call('HSET', q.held, lane, id)
      redis.call('HINCRBY', q.load, group, 1)
      redis.call('ZADD', q.busy, now + tonumber(ARGV[4]), id)
      redis.call('ZREM', q.due, id)
      job[4] = redis.call('HINCRBY', q.job .. id, 'attempt', 1)
      redis.call('HSET', q.job .. id, 'claimed', now)
      local body = job[11]
      if body then
        body = ARGV[1] .. 'body:' .. body
        body = redis.call('HSTRLEN', body, 'body') <= 65536 and redis.call('HGET', body, 'body')
      end
      table.insert(job, 1, 'job')
      job[13] = body
      return job
    end
  end
end

local first = redis.call('ZRANGE', q.groups, 0, 0, 'WITHSCORES')[2]
local lease = redis.call('ZRANGE', q.busy, 0, 0, 'WITHSCORES')[2]
if not first and not lease then
  return {'wait', false}
end
local soonest = math.min(tonumber(first or lease), tonumber(lease or first))
return {'wait', math.max(1, math.ceil(soonest - now))}
