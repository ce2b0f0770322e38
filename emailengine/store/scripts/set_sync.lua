-- Write when an account's folders were last compared, and what went wrong.
-- KEYS: account
-- ARGV: owner number, time, error ('' for none)
-- Returns 1; 0, and nothing is written, if the owner is another or the account is gone.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'syncTime', ARGV[2])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'syncError')
else
  redis.call('HSET', KEYS[1], 'syncError', ARGV[3])
end
return 1
