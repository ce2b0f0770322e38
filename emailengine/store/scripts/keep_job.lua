-- uses now
-- uses queue
-- Extend the lease of a job.
-- ARGV: prefix, queue, ordered, job id, attempt number, milliseconds from now
-- Returns 1; 0, and nothing is written, if the job is not at work under this number.
local q = queue(ARGV[1], ARGV[2], ARGV[3])
if not working(q, ARGV[4], ARGV[5]) then
  return 0
end
redis.call('ZADD', q.busy, clock() + tonumber(ARGV[6]), ARGV[4])
return 1
