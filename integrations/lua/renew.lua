-- Keep slots that are held, also where the server has forgotten them meanwhile.
local time = redis.call('TIME')
local until_ms = math.floor((time[1] * 1000000 + time[2]) / 1000) + tonumber(ARGV[1])
for place = 2, #ARGV do redis.call('ZADD', KEYS[1], until_ms, ARGV[place]) end
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[1]) + 3600000)
