-- uses now
-- uses count
-- Count what happens now.
-- ARGV: prefix, name and number ...
-- Returns 1.
local now = clock()
for place = 2, #ARGV, 2 do
  count(ARGV[1], now, ARGV[place], ARGV[place + 1])
end
return 1
