-- Append events to announce to an account's stream, oldest first. Nothing happens without any.
local function say(prefix, account, entries)
  for _, entry in ipairs(entries) do
    redis.call('XADD', prefix .. 'say:' .. account, '*', 'say', entry)
  end
  if #entries > 0 then
    redis.call('SADD', prefix .. 'saying', account)
  end
end
