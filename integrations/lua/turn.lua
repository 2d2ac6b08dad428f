-- Ask for a turn: {1, 0, 0} and it may go; {0, ms, 0} and it asks again after so long; {0, ms, 1} and it has left until then. By the clock of the server alone.
-- Fair: who stands before it goes first, so it may go only if there is room and time for all of them as well; nobody who stands in line is passed. Who has
-- left for a slot is passed only while it is away: it comes back to its old place, and nobody who came later stands before it then.
-- Safe to repeat: who has a slot keeps it, who stands in line keeps its place.
local slots, line, kept, numbers, turns, away, began = unpack(KEYS)
local holder, most, interval, burst = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- Of the last, nothing: it may not leave.
local lease, patience, patience_away, longest = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local now_ms = math.floor(now / 1000)

local function keep(ms)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ms) end
end

local function forget(who)
  redis.call('ZREM', line, who)
  redis.call('ZREM', away, who)
  redis.call('ZREM', kept, who)
  redis.call('HDEL', began, who)
end

redis.call('ZREMRANGEBYSCORE', slots, '-inf', now_ms)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', kept, '-inf', now_ms)) do forget(gone) end
if redis.call('ZSCORE', slots, holder) then
  redis.call('ZADD', slots, now_ms + lease, holder)
  return {1, 0, 0}
end
if not redis.call('ZSCORE', line, holder) then
  local number = redis.call('ZSCORE', away, holder)
  if number then redis.call('ZREM', away, holder) else number = redis.call('INCR', numbers) end
  redis.call('ZADD', line, number, holder)
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
local behind = 0
if most > 0 then behind = before + 1 - most + redis.call('ZCARD', slots) end
local until_turn = wait
if behind > 0 then wait = math.max(wait, math.min(20 * behind, 500)) end

if wait <= 0 then
  forget(holder)
  if most > 0 then
    redis.call('ZADD', slots, now_ms + lease, holder)
    redis.call('HINCRBY', began, '', 1)
  end
  if interval > 0 then redis.call('SET', turns, string.format('%.0f', turn + interval)) end
  keep(math.max(lease, patience) + math.ceil(interval * burst / 1000) + 3600000)
  return {1, 0, 0}
end

-- How long a slot may take, by how many were given since it came. Those next in line stay, so that a slot that is given back is taken at once.
local gone_for = 0
if behind > 0 then
  local given = tonumber(redis.call('HGET', began, '') or '0')
  local came = redis.call('HGET', began, holder)
  if not came then
    redis.call('HSET', began, holder, string.format('%.0f:%.0f', now_ms, given))
  elseif longest > 0 and behind > most then
    local came_ms, had = string.match(came, '(%d+):(%d+)')
    local waited, passed = now_ms - tonumber(came_ms), given - tonumber(had)
    local left = 4 * longest
    if passed > 0 then left = behind * waited / passed end
    if waited >= longest and left > 2 * longest then
      -- Early rather than late, and now and then: those who hold the slots may become faster.
      gone_for = math.ceil(math.min(left / 2, 10 * longest))
    end
  end
end

local has_left, until_ms = 0, now_ms + patience
if longest > 0 and until_turn > longest then
  -- Who goes away until its turn keeps its place until then.
  has_left, wait = 1, until_turn
elseif gone_for > 0 then
  has_left, wait = 1, gone_for
  redis.call('ZADD', away, redis.call('ZSCORE', line, holder), holder)
  redis.call('ZREM', line, holder)
end
if has_left == 1 then until_ms = now_ms + patience_away + wait end
redis.call('ZADD', kept, until_ms, holder)
keep(until_ms - now_ms + 86400000)
return {0, wait, has_left}
