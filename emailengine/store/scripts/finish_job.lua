-- uses now
-- uses queue
-- uses put
-- uses say
-- uses pairs
-- Finish a job: remove it, put others, say what is to be announced.
-- ARGV: prefix, queue, ordered, job id, attempt number, how many records to keep, record, then jobs as in _put.lua,
--       then account id and event ...
-- Returns 1; 0, and nothing is written, if the job is not at work under this number.
local q, id, now = queue(ARGV[1], ARGV[2], ARGV[3]), ARGV[4], clock()
local lane, group = working(q, id, ARGV[5])
if not lane then
  return 0
end
local _, place = put_jobs(ARGV[1], ARGV, 8, now) -- before the job's body goes, which they may share
say_pairs(ARGV[1], ARGV, place)
leave(q, id, lane)
redis.call('DEL', q.job .. id)
release(q, id, lane, group, now)
local keep = tonumber(ARGV[6])
if keep > 0 then
  redis.call('XADD', q.done, 'MAXLEN', keep, '*', 'record', ARGV[7])
  redis.call('EXPIRE', q.done, 86400)
else
  redis.call('UNLINK', q.done)
end
return 1
