-- uses names
-- uses rest
-- uses say
-- One step of indexing a folder: rows, flag sets, the position and the events that follow, or nothing.
-- KEYS: account, folders, folder, rows
-- ARGV: prefix, account id, owner number, path, folder number, twice the number of blocks, number of flag sets,
--       the position (uidvalidity, uidnext, count, modseq, silent, todo, quiet, commit),
--       then block number and packed rows ('' removes) ..., flag set ..., event ...
-- Returns 1; 0, and nothing is written, if the owner is another, the account is gone or the commit does not follow.
local path, number, commit = ARGV[4], ARGV[5], tonumber(ARGV[15])
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[3] then
  return 0
end
local stored = redis.call('HGET', KEYS[3], 'commit')
if (stored and tonumber(stored) or 0) ~= commit - 1 then
  return 0
end

local current = redis.call('HGET', KEYS[2], 'c:' .. path)
if current ~= number then
  if current then
    drop_folder(ARGV[1], current, ARGV[2])
  end
  redis.call('HSET', KEYS[2], 'c:' .. path, number)
end
if not stored then
  redis.call('UNLINK', KEYS[3], KEYS[4])
end

local sets = 16 + tonumber(ARGV[6])
local says = sets + tonumber(ARGV[7])
for place = 16, sets - 1, 2 do
  if ARGV[place + 1] == '' then
    redis.call('HDEL', KEYS[4], ARGV[place])
  else
    redis.call('HSET', KEYS[4], ARGV[place], ARGV[place + 1])
  end
end
redis.call('HSET', KEYS[3], 'uidvalidity', ARGV[8], 'uidnext', ARGV[9], 'count', ARGV[10], 'modseq', ARGV[11],
  'silent', ARGV[12], 'todo', ARGV[13], 'quiet', ARGV[14], 'commit', ARGV[15])
if says > sets then
  local known = tonumber(redis.call('HGET', KEYS[3], 'sets') or 0)
  for place = sets, says - 1 do
    redis.call('HSET', KEYS[3], 'f' .. (known + place - sets), ARGV[place])
  end
  redis.call('HSET', KEYS[3], 'sets', known + says - sets)
end
say(ARGV[1], ARGV[2], rest(ARGV, says))
return 1
