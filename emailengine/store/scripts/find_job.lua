-- uses now
-- uses queue
-- uses state
-- Look for a job that is not finished.
-- ARGV: prefix, queue, ordered, job id
-- Returns its state and the job as `described`; nil if there is none.
local q = queue(ARGV[1], ARGV[2], ARGV[3])
if redis.call('EXISTS', q.job .. ARGV[4]) == 0 then
  return nil
end
return listed(q, ARGV[4], state(q, ARGV[4], clock()))
