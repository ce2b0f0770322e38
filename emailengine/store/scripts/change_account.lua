-- Store other settings of an account.
-- KEYS: account
-- ARGV: settings, secrets, searched text
-- Returns 1; 0, and nothing is written, if there is no such account.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'settings', ARGV[1], 'secrets', ARGV[2], 'searched', ARGV[3])
return 1
