-- uses names
-- uses rest
-- uses say
-- Remove an account and the tokens bound to it, together with events to announce. Its folders are renamed, to be
-- removed in slices. Without any token everybody is let in: if none would be left, one stays as one that has expired.
-- KEYS: account, accounts, folders, leaving, tokens, log
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
redis.call('UNLINK', KEYS[6])
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('RENAME', KEYS[3], ARGV[1] .. 'left:' .. leaving)
end
redis.call('SADD', KEYS[4], leaving)
local tokens = redis.call('HGETALL', KEYS[5])
local last
for i = 1, #tokens, 2 do
  if string.find(tokens[i + 1], '"account":', 1, true) then
    local read, token = pcall(cjson.decode, tokens[i + 1])
    if read and type(token) == 'table' and token.account == ARGV[2] then
      redis.call('HDEL', KEYS[5], tokens[i])
      last = tokens[i]
    end
  end
end
if last and redis.call('EXISTS', KEYS[5]) == 0 then
  local past = '1970-01-01T00:00:00.000Z'
  local record = { created = past, expires = past, description = 'of a deleted account' }
  redis.call('HSET', KEYS[5], last, cjson.encode(record))
end
say(ARGV[1], ARGV[2], rest(ARGV, 3))
return leaving
