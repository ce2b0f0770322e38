-- Append events to announce, out of the arguments from a place on: account id and event ...
local function say_pairs(prefix, arguments, place)
  for at = place, #arguments, 2 do
    say(prefix, arguments[at], {arguments[at + 1]})
  end
end
