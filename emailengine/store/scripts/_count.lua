-- Count what happens in this minute. Each minute is kept for 8 days.
local function count(prefix, now, name, number)
  local minute = prefix .. 'count:' .. string.format('%.0f', math.floor(now / 60000))
  redis.call('HINCRBY', minute, name, number)
  redis.call('EXPIRE', minute, 691200)
end
