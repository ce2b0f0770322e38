-- Give an account a new owner: from now on the scripts refuse what older ones write.
-- KEYS: account, serials
-- Returns the owner number, higher than all before; nil if there is no such account.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return nil
end
local owner = redis.call('HINCRBY', KEYS[2], 'owner', 1)
redis.call('HSET', KEYS[1], 'owner', owner)
return owner
