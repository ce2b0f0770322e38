-- What becomes of a job that exists.
local function state(q, id, now)
  local due = redis.call('ZSCORE', q.due, id)
  if not due then
    return redis.call('HEXISTS', q.job .. id, 'failed') == 1 and 'failed' or 'active'
  end
  return tonumber(due) > now and 'delayed' or 'waiting'
end

-- A job as `queue.py: _listed` takes it.
local function listed(q, id, what)
  local job = described(q, id)
  table.insert(job, 1, what)
  return job
end
