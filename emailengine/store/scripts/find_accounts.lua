-- uses names
-- Look through the next accounts of an index for those whose id, name or address holds a text.
-- KEYS: accounts or accounts-by-state
-- ARGV: prefix, lower end of the range (ZRANGEBYLEX), how many to look through, text in folded case
-- Returns the last id looked at (false at the end), then the ids that fit.
local ids = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local found = {false}
if #ids == tonumber(ARGV[3]) then
  found[1] = ids[#ids]
end
for _, id in ipairs(ids) do
  local searched = redis.pcall('HGET', account_key(ARGV[1], id), 'searched')
  if type(searched) == 'string' and string.find(searched, ARGV[4], 1, true) then
    found[#found + 1] = id
  end
end
return found
