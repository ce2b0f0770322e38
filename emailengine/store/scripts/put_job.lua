-- uses now
-- uses queue
-- uses put
-- Put a job, once: under an idempotency key that is known already nothing is put.
-- ARGV: prefix, key ('' for none), its answer, milliseconds to remember it, then a job as in _put.lua
-- Returns how many were put (0 also if the job's id is known), and the stored answer if the key was known.
if ARGV[2] ~= '' then
  local answer = redis.call('GET', ARGV[2])
  if answer then
    return {0, answer}
  end
end
local added = put_jobs(ARGV[1], ARGV, 5, clock())
if ARGV[2] ~= '' and added > 0 then
  redis.call('SET', ARGV[2], ARGV[3], 'PX', ARGV[4])
end
return {added, false}
