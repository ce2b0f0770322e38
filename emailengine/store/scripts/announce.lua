-- uses now
-- uses queue
-- uses put
-- uses count
-- Remove an event that was to be announced, put the jobs that came of it, and count.
-- KEYS: say, saying, account
-- ARGV: prefix, account id, entry of the stream, number of names, names of events ..., then jobs as in _put.lua
-- Returns 1; 0, and nothing is written, if the entry is gone.
if redis.call('XDEL', KEYS[1], ARGV[3]) == 0 then
  return 0
end
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[2], ARGV[2])
end
local now = clock()
local last = 4 + tonumber(ARGV[4])
local there = redis.call('EXISTS', KEYS[3]) == 1
for place = 5, last do
  count(ARGV[1], now, 'events:' .. ARGV[place], 1)
  if there then
    redis.call('HINCRBY', KEYS[3], 'event:' .. ARGV[place], 1)
  end
end
put_jobs(ARGV[1], ARGV, last + 1, now)
return 1
