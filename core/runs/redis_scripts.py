"""What Redis or Valkey keeps of a run, and the scripts that change it, each of them in one step.

`<run>:events` is a stream: an entry holds the events of one append, its id is `<epoch>-<seq of the last>`.
`<run>:state` is a hash: `epoch`, `seq` of the last event, `base`, the first one that is kept.
`<run>:text` is the text of all events before `base`.
All of them expire, later with each append and never sooner: nothing stays behind a dead process.
"""

from typing import Final
from uuid import UUID

from core.broker.broker import PREFIX

FENCED: Final = -1
# Long enough for a writer that is away for a while; a finished run is dropped by its writer, and sooner.
LIFETIME_MS: Final = 60 * 60 * 1000

_HELD: Final = """
local held = redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'base')
local epoch, seq, base = tonumber(held[1]) or 0, tonumber(held[2]) or 0, tonumber(held[3]) or 1
local mine = tonumber(ARGV[1])
if epoch > mine then return -1 end
local function extend()
  for _, key in ipairs(KEYS) do
    if redis.call('PTTL', key) < LIFETIME then redis.call('PEXPIRE', key, LIFETIME) end
  end
end
""".replace("LIFETIME", str(LIFETIME_MS))

# ARGV: epoch, number of the first event or 0 for "the next", of the last, events, channel.
APPEND: Final = (
    _HELD
    + """
local first, last = tonumber(ARGV[2]), tonumber(ARGV[3])
if first == 0 then
  if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
  first, last = seq + 1, seq + 1
end
if first ~= seq + 1 then return seq end
redis.call('XADD', KEYS[1], mine .. '-' .. last, 'e', ARGV[4])
redis.call('HSET', KEYS[2], 'epoch', mine, 'seq', last)
extend()
redis.call('PUBLISH', ARGV[5], mine .. ' ' .. first .. ' ' .. ARGV[4])
return last
"""
)

# Puts a text in place of all events up to a number. ARGV: epoch, number, text.
RESTORE: Final = (
    _HELD
    + """
local last = tonumber(ARGV[2])
if seq >= last then return seq end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[3], ARGV[3])
redis.call('HSET', KEYS[2], 'epoch', mine, 'seq', last, 'base', last + 1)
extend()
return last
"""
)

# Drops the oldest events. ARGV: epoch, number of the last of them, all text up to there.
TRIM: Final = (
    _HELD
    + """
local last = tonumber(ARGV[2])
if epoch ~= mine or base > last then return 0 end
redis.call('SET', KEYS[3], ARGV[3])
redis.call('XTRIM', KEYS[1], 'MINID', mine .. '-' .. (last + 1))
redis.call('HSET', KEYS[2], 'base', last + 1)
extend()
return 1
"""
)

# What follows an event. ARGV: its epoch, its number. Nothing if nothing is kept; the text if it is wanted.
READ: Final = """
local held = redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'base')
if not held[1] then return false end
local base, after = tonumber(held[3]) or 1, tonumber(ARGV[2])
local text, start = false, '(' .. ARGV[1] .. '-' .. after
if after + 1 < base then text, start = redis.call('GET', KEYS[3]) or '', '-' end
return {tonumber(held[1]), tonumber(held[2]), base, text, redis.call('XRANGE', KEYS[1], start, '+')}
"""


def keys(run_id: UUID) -> tuple[str, str, str]:
    """The keys of a run: events, state, text. In braces, what a cluster keeps together."""
    run = f"{PREFIX}{{{run_id}}}"
    return f"{run}:events", f"{run}:state", f"{run}:text"


def channel(run_id: UUID) -> str:
    """Where each append of a run is published: `<epoch> <first seq> <events>`."""
    return f"{PREFIX}{{{run_id}}}:news"
