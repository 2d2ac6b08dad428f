-- Let nobody in for so long: whoever is asked has told one of us to wait. What was told of a later moment stands.
local turns, ms, interval, burst = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Of the burst nothing is left either.
local turn = now + ms * 1000 + (burst - 1) * interval
if turn > tonumber(redis.call('GET', turns) or '0') then
  redis.call('SET', turns, string.format('%.0f', turn), 'PX', math.ceil((turn - now) / 1000) + 3600000)
end
