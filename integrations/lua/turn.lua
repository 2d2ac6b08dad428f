-- Ask for a turn: {1, 0} and it may go, or {0, ms} and it asks again after so long. By the clock of the server alone.
-- Fair: who stands before it goes first, so it may go only if there is room and time for all of them as well; nobody is passed.
-- Safe to repeat: who has a slot keeps it, who stands in line keeps its place.
local slots, line, kept, numbers, turns = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local holder, most, interval, burst = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease, patience, is_leaving = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local now_ms = math.floor(now / 1000)

local function keep(ms)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ms) end
end

redis.call('ZREMRANGEBYSCORE', slots, '-inf', now_ms)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', kept, '-inf', now_ms)) do
  redis.call('ZREM', line, gone)
  redis.call('ZREM', kept, gone)
end
if redis.call('ZSCORE', slots, holder) then
  redis.call('ZADD', slots, now_ms + lease, holder)
  return {1, 0}
end
if not redis.call('ZSCORE', line, holder) then
  redis.call('ZADD', line, redis.call('INCR', numbers), holder)
end
local before = redis.call('ZRANK', line, holder)

-- Turns: a moment that moves on by one interval with each, and lags behind by a burst at most (GCRA).
local turn = math.max(tonumber(redis.call('GET', turns) or '0'), now)
local wait = 0
if interval > 0 then
  wait = math.ceil((turn + (before - burst + 1) * interval - now) / 1000)
else
  -- Without a rate the moment only moves where somebody was told to hold back.
  wait = math.ceil((turn - now) / 1000)
end
-- Slots: nobody knows when one is given back, so those next in line ask often.
local free = before + 1
if most > 0 then free = most - redis.call('ZCARD', slots) end
if before >= free then
  wait = math.max(wait, math.min(20 * (before - free + 1), 500))
end

if wait <= 0 then
  redis.call('ZREM', line, holder)
  redis.call('ZREM', kept, holder)
  if most > 0 then redis.call('ZADD', slots, now_ms + lease, holder) end
  if interval > 0 then redis.call('SET', turns, string.format('%.0f', turn + interval)) end
  keep(math.max(lease, patience) + math.ceil(interval * burst / 1000) + 3600000)
  return {1, 0}
end
-- Who goes away until its turn keeps its place until then; who stays says again and again that it is there.
local until_ms = now_ms + patience
if is_leaving then until_ms = until_ms + wait end
redis.call('ZADD', kept, until_ms, holder)
keep(until_ms - now_ms + 86400000)
return {0, wait}
