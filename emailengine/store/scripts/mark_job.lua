-- uses now
-- uses queue
-- Note how far the work on a job is.
-- ARGV: prefix, queue, ordered, job id, attempt number, mark [, progress]
-- Returns 1; 0, and nothing is written, if the job is not at work under this number or its lease has ended.
local q = queue(ARGV[1], ARGV[2], ARGV[3])
if not working(q, ARGV[4], ARGV[5]) or tonumber(redis.call('ZSCORE', q.busy, ARGV[4])) <= clock() then
  return 0
end
redis.call('HSET', q.job .. ARGV[4], 'mark', ARGV[6], 'marked', ARGV[5])
if ARGV[7] then
  redis.call('HSET', q.job .. ARGV[4], 'progress', ARGV[7])
end
return 1
