-- uses now
-- Add up what was counted in some minutes.
-- ARGV: prefix, how many minutes back the last one is (0: this one), how many minutes
-- Returns name and number ...
local last = math.floor(clock() / 60000) - tonumber(ARGV[2])
local sums = {}
for minute = last - tonumber(ARGV[3]) + 1, last do
  local counts = redis.call('HGETALL', ARGV[1] .. 'count:' .. string.format('%.0f', minute))
  for place = 1, #counts, 2 do
    sums[counts[place]] = (sums[counts[place]] or 0) + tonumber(counts[place + 1])
  end
end
local found = {}
for name, number in pairs(sums) do
  found[#found + 1] = name
  found[#found + 1] = string.format('%.0f', number)
end
return found
