-- The time of Redis in milliseconds since 1970, with their fraction: what waits in the same millisecond keeps its order.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end
