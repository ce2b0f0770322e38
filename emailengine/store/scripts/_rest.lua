-- The arguments from a place on, as a list.
local function rest(arguments, first)
  local list = {}
  for place = first, #arguments do
    list[#list + 1] = arguments[place]
  end
  return list
end
