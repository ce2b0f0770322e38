-- uses names
-- uses rest
-- uses say
-- Remove an account, together with events to announce. Its folders are renamed, to be removed in slices.
-- KEYS: account, accounts, folders, leaving
-- ARGV: prefix, account id, event ...
-- Returns the name of what is left, now in `leaving`; nil, and nothing is written, if there is no such account.
local stored = redis.call('HMGET', KEYS[1], 'state', 'generation')
if redis.call('EXISTS', KEYS[1]) == 0 then
  return nil
end
local leaving = (stored[2] or '0') .. ':' .. ARGV[2]
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', state_key(ARGV[1], stored[1] or 'init'), ARGV[2])
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('RENAME', KEYS[3], ARGV[1] .. 'left:' .. leaving)
end
redis.call('SADD', KEYS[4], leaving)
say(ARGV[1], ARGV[2], rest(ARGV, 3))
return leaving
