-- Write how the last delivery over an account's SMTP server ended.
-- KEYS: account
-- ARGV: status
-- Returns 1; 0, and nothing is written, if there is no such account.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'smtp', ARGV[1])
return 1
