-- uses now
-- uses queue
-- Remove a job: one that waits, was given up, or is at work and not marked under its attempt.
-- ARGV: prefix, queue, ordered, job id
-- Returns the job as `described`; nil, and nothing is removed, if there is none or it is at work and marked.
local q, id, now = queue(ARGV[1], ARGV[2], ARGV[3]), ARGV[4], clock()
end_leases(q, now)
local stored = redis.call('HMGET', q.job .. id, 'lane', 'group', 'failed', 'marked', 'attempt')
local lane = stored[1]
if not lane then
  return nil
end
local held = redis.call('HGET', q.held, lane) == id
if held and stored[4] == stored[5] then
  return nil
end
local job = described(q, id)
if stored[3] then
  redis.call('ZREM', q.past, id)
else
  leave(q, id, lane)
end
redis.call('DEL', q.job .. id)
if held then
  release(q, id, lane, stored[2], now)
elseif not stored[3] then
  set_lane(q, lane, now)
end
return job
