-- uses now
-- uses queue
-- uses say
-- uses pairs
-- Have a job tried again. In an ordered queue it stays at the head of its lane.
-- ARGV: prefix, queue, ordered, job id, attempt number, time, error ('' for none), 1 to replace the data, data,
--       then account id and event ...
-- Returns 1; 0, and nothing is written, if the job is not at work under this number.
local q, id, now = queue(ARGV[1], ARGV[2], ARGV[3]), ARGV[4], clock()
local lane, group = working(q, id, ARGV[5])
if not lane then
  return 0
end
redis.call('HSET', q.job .. id, 'due', ARGV[6])
if ARGV[7] == '' then
  redis.call('HDEL', q.job .. id, 'error')
else
  redis.call('HSET', q.job .. id, 'error', ARGV[7])
end
if ARGV[8] == '1' then
  redis.call('HSET', q.job .. id, 'data', ARGV[9])
end
say_pairs(ARGV[1], ARGV, 10)
redis.call('ZADD', q.due, ARGV[6], id)
if not q.ordered then
  redis.call('ZADD', q.lane .. lane, ARGV[6], id)
end
release(q, id, lane, group, now)
return 1
