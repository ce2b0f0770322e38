-- Append lines to the protocol log of an account, and keep only the last ones.
-- KEYS: account, log
-- ARGV: how many lines are kept, line ...
-- Returns 1; 0, and nothing is written, if there is no such account.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
for i = 2, #ARGV do
  redis.call('XADD', KEYS[2], '*', 'l', ARGV[i])
end
redis.call('XTRIM', KEYS[2], 'MAXLEN', ARGV[1])
return 1
