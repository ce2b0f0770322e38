"""Small tools without domain words: waiting, limits, time, secrets, logs, counters."""
