-- uses rest
-- uses say
-- Add an account in state "init", together with events to announce.
-- KEYS: account, accounts, accounts-by-state:init, serials
-- ARGV: prefix, account id, settings, secrets, searched text, event ...
-- Returns its generation; nil, and nothing is written, if the id is taken.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return nil
end
local generation = redis.call('HINCRBY', KEYS[4], 'generation', 1)
redis.call('HSET', KEYS[1], 'settings', ARGV[3], 'secrets', ARGV[4], 'searched', ARGV[5],
  'state', 'init', 'generation', generation, 'owner', 0)
redis.call('ZADD', KEYS[2], 0, ARGV[2])
redis.call('ZADD', KEYS[3], 0, ARGV[2])
say(ARGV[1], ARGV[2], rest(ARGV, 6))
return generation
