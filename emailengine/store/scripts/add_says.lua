-- uses rest
-- uses say
-- Append events to announce.
-- ARGV: prefix, account id, event ...
-- Returns 1.
say(ARGV[1], ARGV[2], rest(ARGV, 3))
return 1
