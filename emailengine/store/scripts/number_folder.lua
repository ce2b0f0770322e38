-- Give a folder under a UIDVALIDITY its number, once.
-- KEYS: account, folders, serials
-- ARGV: "<uidvalidity>:<path>"
-- Returns the number; nil if there is no such account.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return nil
end
local known = redis.call('HGET', KEYS[2], 'u:' .. ARGV[1])
if known then
  return tonumber(known)
end
local number = redis.call('HINCRBY', KEYS[3], 'folder', 1)
redis.call('HSET', KEYS[2], 'u:' .. ARGV[1], number, 'n:' .. number, ARGV[1])
return number
