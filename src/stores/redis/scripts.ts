// The scripts that run inside the server. Each touches only the keys that it declares: one, so that it runs in a Cluster too.
import { hash } from 'node:crypto'
import type { Connection } from './client.ts'

/** A script, and its hash, by which a server that knows the script runs it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

function script(text: string): Script {
  return { text, sha: hash('sha1', text, 'hex') }
}

/**
 * Runs a script by its hash; sends its text if the server does not know it (new, flushed or failed over).
 *
 * @param keys several only if they are on one server.
 */
export function runScript<T>(
  { ask }: Connection,
  { sha, text }: Script,
  keys: readonly string[],
  args: readonly string[],
  then: (answer: unknown) => T | Promise<T>,
): Promise<T> {
  const rest = [`${keys.length}`, ...keys, ...args]
  const [key = ''] = keys
  return ask(['EVALSHA', sha, ...rest], key, then, (error) => {
    if (!(error instanceof Error && /NOSCRIPT|NoScript/.test(error.message))) throw error
    return ask(['EVAL', text, ...rest], key, then)
  })
}

/** No record has more bytes before its createdAt: the longest owner as JSON has 1532. */
export const HEAD_LENGTH = 4096

/** A time to live that Redis can still add to its clock. */
export const LONGEST = 1e15

/** An index entry without a record is removed at this age, in minutes: no create or replace is under way that long. */
export const GRACE = 10

/** An entry that is stamped so many minutes ahead was written before the server's clock was set back. */
export const AHEAD = 60

/** In milliseconds: from here on, in the year 2109, a double cannot hold an instant and its stamp. Such entries stay. */
export const LARGEST_STAMPED: number = 2 ** 42

/** Stamps of index entries count minutes of the server's clock from 1 to this, then from 1 again. 0: not stamped. */
export const STAMPS = 2047

// Parses the record. A value that no store has written (another type, lines cut off, no numbers) is a session that has ended:
// `value` is false, as for a key that does not exist. Any other error is returned as it is.
const PARSE = `
local function number(text)
  return tonumber(text, 36) or tonumber(string.sub(text, 2))
end

local function holds(tags, tag)
  for one in string.gmatch(tags, '........') do
    if one == tag then return true end
  end
  return false
end

local value = redis.pcall('GET', KEYS[1])
local kind, version, expires, seen, listed, tags, owner, rest
if type(value) == 'table' then
  if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
  value = false
elseif value then
  kind, version, expires, seen, listed, tags, owner, rest = string.match(#value > ${HEAD_LENGTH} and string.sub(value, 1, ${HEAD_LENGTH}) or value,
    '^(%l)([^\\n]+)\\n([^\\n]+)\\n([^\\n]+)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n()')
  if not (rest and number(expires) and number(seen)) then value = false end
end
`

// KEYS: record. ARGV: tag, now, time to live, value. Answers 'done' or 'taken'.
export const CREATE: Script = script(`${PARSE}
if value then
  if holds(tags, ARGV[1]) then return 'done' end
  if number(expires) > number(ARGV[2]) then return 'taken' end
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
return 'done'
`)

// KEYS: record. ARGV: one line of tag, now, time to live, the version to replace, expiresAt, and listedUntil ('-' when
// the index was not written for this call, '0' when the record is expired); front; back; for an end, the channel and
// the announcement. Answers 'done', 'stale', 'gone'; '-' and an owner when done and the entry in that owner's index must
// be removed; 'unlisted' when nothing was written because the index has to be written first.
//
// A full server refuses a write that may need memory only if it is the first write of a script. So an end deletes first.
// If the ended record is refused nevertheless, the delete has ended the session.
export const REPLACE: Script = script(`${PARSE}
if not value then return 'gone' end
local tag, now, lifetime, wanted, expiry, covered = string.match(ARGV[1], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
now = number(now)
local live = number(expires) > now
if not live or version ~= wanted then
  if holds(tags, tag) then return 'done' end
  return live and 'stale' or 'gone'
end

local heir = string.match(ARGV[3], '^\\n([^\\n]*)')
local expired = covered == '0'
if covered == '-' then
  covered = ''
  if heir ~= '' then
    if heir ~= owner or (number(listed) or 0) < number(expiry) then return 'unlisted' end
    covered = listed
  end
end

local kept, own = tag, 1
for one in string.gmatch(tags, '........') do
  if string.sub(one, 1, 4) == string.sub(tag, 1, 4) then own = own + 1 end
  if #kept < 128 and (own <= 2 or string.sub(one, 1, 4) ~= string.sub(tag, 1, 4)) then kept = kept .. one end
end
local text = ARGV[2] .. covered .. '\\n' .. kept .. ARGV[3]
if ARGV[4] then
  redis.call('DEL', KEYS[1])
  redis.pcall('SET', KEYS[1], text, 'PX', lifetime)
  redis.pcall('PUBLISH', ARGV[4], ARGV[5])
else
  redis.call('SET', KEYS[1], text, 'PX', lifetime)
end
if owner ~= '' and (expired or heir ~= owner) then return '-' .. owner end
return 'done'
`)

// KEYS: record. ARGV: one line of now, time to live, version, lastSeenAt, expiresAt, listedUntil ('-' as above). Answers
// '-' when refused, '=' when older than what is stored, '+' and the owner when done, '?' and the owner when the index has
// to be written first.
export const TOUCH: Script = script(`${PARSE}
local now, lifetime, wanted, seenAt, expiry, covered = string.match(ARGV[1], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
if not value or version ~= wanted or number(expires) <= number(now) then return '-' end
if number(seenAt) < number(seen) then return '=' end
if covered == '-' then
  if owner ~= '' and (number(listed) or 0) < number(expiry) then return '?' .. owner end
  covered = listed
end
local front = kind .. version .. '\\n' .. expiry .. '\\n' .. seenAt .. '\\n' .. covered .. '\\n' .. tags .. '\\n' .. owner .. '\\n'
redis.call('SET', KEYS[1], front .. string.sub(value, rest), 'PX', lifetime)
return '+' .. owner
`)

// KEYS: record. ARGV: channel, announcement. Answers '-' when there was no record, else '+' and the owner.
export const DELETE: Script = script(`${PARSE}
if redis.call('DEL', KEYS[1]) == 0 then return '-' end
redis.pcall('PUBLISH', ARGV[1], ARGV[2])
return '+' .. (value and owner or '')
`)

// KEYS: records, any number on one server. Answers the lines of each up to the owner, or up to meta if it has no owner; '' for a
// missing record or one that is no string.
export const HEADS: Script = script(`
local heads = {}
for at, name in ipairs(KEYS) do
  local head = redis.pcall('GETRANGE', name, 0, ${HEAD_LENGTH - 1})
  if type(head) == 'table' then
    if not string.find(head.err, 'WRONGTYPE', 1, true) then return head end
    head = ''
  end
  heads[at] = string.match(head, '^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n\\n[^\\n]*\\n[^\\n]*\\n') or
    string.match(head, '^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n') or ''
end
return heads
`)

// The index of an owner is a sorted set of keys. The whole part of an entry's score is the instant up to which it counts, the
// fraction is the stamp of the minute when it was last written. Scores only grow, so that a walk in their order misses no
// entry. Entries of version 0.1 have no stamp.
const STAMP = `
local minute = math.floor(redis.call('TIME')[1] / 60) % ${STAMPS} + 1
`

// KEYS: index. ARGV: the record's key, the instant up to which it counts, the instant before which entries are past, now, slack.
export const ENLIST: Script = script(`${STAMP}
local old = redis.pcall('ZSCORE', KEYS[1], ARGV[1])
if type(old) == 'table' then
  if not string.find(old.err, 'WRONGTYPE', 1, true) then return old end
  redis.call('DEL', KEYS[1])
  old = false
end
old = tonumber(old or '-inf')
local score = math.max(math.floor(old), tonumber(ARGV[2])) + minute / ${STAMPS + 1}
if score < old then score = score + 1 end
redis.call('ZADD', KEYS[1], string.format('%.17g', score), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if last then redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(math.min(last - ARGV[4] + ARGV[5], ${LONGEST})))) end
return 'done'
`)

// KEYS: index. ARGV: limit, and where to begin: now at first, later the position from the answer before. Answers the minute, the
// position of the next portion ('' at the end), and key and score of each entry. A position is a score and a key, found by
// binary search, because any number of entries may have one score. The key is in hex, because a foreign one may be no text.
// `follows` compares bytes, as the set does; Lua compares texts by the server's locale.
export const PAGE: Script = script(`${STAMP}
local function follows(text, other)
  for at = 1, math.min(#text, #other) do
    local one, two = string.byte(text, at), string.byte(other, at)
    if one ~= two then return one > two end
  end
  return #text > #other
end

local limit = tonumber(ARGV[1])
local score, hex = string.match(ARGV[2], '^(%S+) (%x*)$')
local first = redis.pcall('ZCOUNT', KEYS[1], '-inf', score and '(' .. score or ARGV[2])
if type(first) == 'table' then
  if not string.find(first.err, 'WRONGTYPE', 1, true) then return first end
  return {tostring(minute), ''}
end
if score then
  local key = string.gsub(hex, '..', function(byte) return string.char(tonumber(byte, 16)) end)
  local last = first + redis.call('ZCOUNT', KEYS[1], score, score)
  while first < last do
    local middle = math.floor((first + last) / 2)
    if follows(redis.call('ZRANGE', KEYS[1], middle, middle)[1], key) then last = middle else first = middle + 1 end
  end
end
local page = redis.call('ZRANGE', KEYS[1], first, first + limit - 1, 'WITHSCORES')
local after = ''
if #page == 2 * limit then
  after = page[#page] .. ' ' .. string.gsub(page[#page - 1], '.', function(c) return string.format('%02x', string.byte(c)) end)
end
table.insert(page, 1, after)
table.insert(page, 1, tostring(minute))
return page
`)

// KEYS: index. ARGV: key and score of entries for which no record of the owner was found. An entry that was written again since
// has another score, and stays. An entry without a stamp gets one, because a process of version 0.1 may just have written it.
export const CLEAN: Script = script(`${STAMP}
for at = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if score and score == ARGV[at + 1] and tonumber(score) < ${LARGEST_STAMPED} then
    local written = tonumber(score) % 1 * ${STAMPS + 1}
    if written == 0 then
      redis.call('ZADD', KEYS[1], string.format('%.17g', score + minute / ${STAMPS + 1}), ARGV[at])
    elseif (minute - written) % ${STAMPS} >= ${GRACE} and (minute - written) % ${STAMPS} < ${STAMPS - AHEAD} then
      redis.call('ZREM', KEYS[1], ARGV[at])
    end
  end
end
return 'done'
`)

// No KEYS: runs on each primary of a Cluster, for the keys that the node holds. ARGV: prefix, first slot, limit. Answers the
// node's id, the last slot that it looked at, the nodes that serve these slots as far as this node knows (id and one slot of
// each), and its records (slot and name of each). At most 1024 slots at once, because the node serves no other client meanwhile.
export const SLOTS = `
local prefix, first, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found, owners, slot, seen = {}, {}, first, 0
local last = math.min(first + 1023, 16383)
while true do
  local count = redis.call('CLUSTER', 'COUNTKEYSINSLOT', slot)
  if count > 0 then
    seen = seen + count
    for _, name in ipairs(redis.call('CLUSTER', 'GETKEYSINSLOT', slot, count)) do
      if #name == #prefix + 43 and string.sub(name, 1, #prefix) == prefix then
        found[#found + 1] = slot
        found[#found + 1] = name
      end
    end
  end
  if slot == last or #found >= 2 * limit or seen >= 10000 then break end
  slot = slot + 1
end
for _, range in ipairs(redis.call('CLUSTER', 'SLOTS')) do
  if range[1] <= slot and range[2] >= first then
    owners[#owners + 1] = range[3][3]
    owners[#owners + 1] = math.max(range[1], first)
  end
end
return {redis.call('CLUSTER', 'MYID'), slot, owners, found}
`
