-- uses now
-- uses queue
-- Count the jobs that are neither finished nor given up.
-- ARGV: prefix, queue, ordered
-- Returns how many are active, delayed and waiting.
local q, now = queue(ARGV[1], ARGV[2], ARGV[3]), clock()
local waiting = redis.call('ZCOUNT', q.due, '-inf', now)
return {redis.call('ZCARD', q.busy), redis.call('ZCARD', q.due) - waiting, waiting}
