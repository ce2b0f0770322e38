-- The names of keys whose number or state is known only inside a script, as in keys.py.
local function state_key(prefix, state)
  return prefix .. 'accounts-by-state:' .. state
end

local function account_key(prefix, account)
  return prefix .. 'account:' .. account
end

-- Remove how far a folder is indexed, and its rows. Freeing the memory is left to Redis' own thread.
local function drop_folder(prefix, number, account)
  redis.call('UNLINK', prefix .. 'folder:' .. number .. ':' .. account, prefix .. 'rows:' .. number .. ':' .. account)
end
