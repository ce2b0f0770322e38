-- uses now
-- uses queue
-- uses say
-- uses pairs
-- Give a job up. Its body goes; it stays to be looked at for a week, if it is among the last so many.
-- ARGV: prefix, queue, ordered, job id, attempt number, error, how many to keep, then account id and event ...
-- Returns 1; 0, and nothing is written, if the job is not at work under this number.
local q, id, now = queue(ARGV[1], ARGV[2], ARGV[3]), ARGV[4], clock()
local lane, group = working(q, id, ARGV[5])
if not lane then
  return 0
end
say_pairs(ARGV[1], ARGV, 8)
leave(q, id, lane)
redis.call('HDEL', q.job .. id, 'body')
redis.call('HSET', q.job .. id, 'error', ARGV[6], 'failed', 1)
redis.call('EXPIRE', q.job .. id, 604860) -- a little longer than `past` names it
redis.call('ZADD', q.past, now, id)
redis.call('EXPIRE', q.past, 604800)
trim_past(q, now, tonumber(ARGV[7]))
release(q, id, lane, group, now)
return 1
