-- uses names
-- uses rest
-- uses say
-- Write folder records and remove folders with their indexes, together with events to announce.
-- KEYS: account, folders
-- ARGV: prefix, account id, owner number, twice the number of records, number of gone paths,
--       then path and record ..., gone path ..., event ...
-- Returns 1; 0, and nothing is written, if the owner is another or the account is gone.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner ~= ARGV[3] then
  return 0
end
local gone = 6 + tonumber(ARGV[4])
local says = gone + tonumber(ARGV[5])
for place = 6, gone - 1, 2 do
  redis.call('HSET', KEYS[2], 'p:' .. ARGV[place], ARGV[place + 1])
end
for place = gone, says - 1 do
  local number = redis.call('HGET', KEYS[2], 'c:' .. ARGV[place])
  if number then
    drop_folder(ARGV[1], number, ARGV[2])
  end
  redis.call('HDEL', KEYS[2], 'p:' .. ARGV[place], 'c:' .. ARGV[place])
end
say(ARGV[1], ARGV[2], rest(ARGV, says))
return 1
