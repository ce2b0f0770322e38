-- uses names
-- uses rest
-- uses say
-- Write an account's state, together with events to announce. Becoming "connected" is counted.
-- KEYS: account, accounts-by-state of the new state
-- ARGV: prefix, account id, owner number, state, error ('' for none), event ...
-- Returns 1; 0, and nothing is written, if the owner is another or the account is gone.
local stored = redis.call('HMGET', KEYS[1], 'owner', 'state')
if stored[1] ~= ARGV[3] then
  return 0
end
local before, state = stored[2], ARGV[4]
if before ~= state then
  if before then
    redis.call('ZREM', state_key(ARGV[1], before), ARGV[2])
  end
  redis.call('ZADD', KEYS[2], 0, ARGV[2])
  redis.call('HSET', KEYS[1], 'state', state)
  if state == 'connected' then
    redis.call('HINCRBY', KEYS[1], 'connected', 1)
  end
end
if ARGV[5] == '' then
  redis.call('HDEL', KEYS[1], 'error')
else
  redis.call('HSET', KEYS[1], 'error', ARGV[5])
end
say(ARGV[1], ARGV[2], rest(ARGV, 6))
return 1
