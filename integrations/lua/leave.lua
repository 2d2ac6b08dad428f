-- Give a slot back, or a place in line up.
local slots, line, kept, _, _, away, began = unpack(KEYS)
redis.call('ZREM', slots, ARGV[1])
redis.call('ZREM', line, ARGV[1])
redis.call('ZREM', kept, ARGV[1])
redis.call('ZREM', away, ARGV[1])
redis.call('HDEL', began, ARGV[1])
