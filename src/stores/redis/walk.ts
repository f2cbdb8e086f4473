// Walks the names of all records under a prefix, in portions: on one server by SCAN, in a Cluster slot by slot, by asking every
// primary for its names in the same slots.
import { setTimeout as sleep } from 'node:timers/promises'
import { ignore, textOf, textsOf, unexpected, type Connection } from './client.ts'
import { SLOTS } from './scripts.ts'

/** A portion of names; `cursor` is where the next one begins. */
export interface NamePage {
  readonly names: readonly string[]
  readonly cursor: string | undefined
}

/** The most SCAN calls for one portion of one server; after them the portion is returned, even if it is empty. */
const ROUNDS = 10

/** How often a walk may restart: after a failover, the new server cannot continue the old one's SCAN cursor. */
const RESTARTS = 8

/** How often, 100 ms apart, to wait for a Cluster's client to learn of a primary. */
const TRIES = 20

/**
 * A portion of one server. A cursor is the server's run id, the number of restarts, and the cursor of SCAN.
 *
 * @param real the prefix as the server sees it.
 */
export async function walkServer(
  { ask }: Connection,
  real: string,
  limit: number,
  cursor: string | undefined,
): Promise<NamePage> {
  const pattern = `${real.replace(/[*?[\]\\^-]/g, '\\$&')}*`
  const [before = '', restarts = '0', begin = '0'] = cursor?.split(' ') ?? []
  let [id, position] = [before, begin]
  const names: string[] = []
  for (let round = 0; round < ROUNDS && names.length < limit; round++) {
    // INFO may be forbidden: then a change of the server cannot be noticed.
    const info = ask(['INFO', 'server'], '', textOf, ignore)
    const [next, page] = await ask(['SCAN', position, 'MATCH', pattern, 'COUNT', `${limit}`], '', scanned)
    const served = /run_id:(\w+)/.exec((await info) ?? '')?.[1] ?? ''
    if (id !== served && !(cursor === undefined && round === 0)) {
      if (Number(restarts) >= RESTARTS) throw new Error('another Redis server answers with each portion of a scan')
      return { names: [], cursor: `${served} ${Number(restarts) + 1} 0` }
    }
    id = served
    position = next
    names.push(...page.filter((name) => name.length === real.length + 43 && name.startsWith(real)))
    if (position === '0') return { names, cursor: undefined }
  }
  return { names, cursor: `${id} ${restarts} ${position}` }
}

function scanned(answer: unknown): [string, string[]] {
  if (!Array.isArray(answer)) throw unexpected(answer)
  return [textOf(answer[0]) ?? '0', textsOf(answer[1])]
}

/**
 * A portion of a Cluster. A cursor is a slot, and the last name before if the walk is in the middle of that slot.
 *
 * A slot may be migrating from one node to another, name by name. So all primaries are asked, and then all of them again: the
 * second round finds a name that moved while the first was under way. What the nodes report of each other shows whether the
 * client knows all primaries.
 */
export async function walkCluster(
  connection: Connection,
  sendToAll: NonNullable<Connection['sendToAll']>,
  real: string,
  limit: number,
  cursor: string | undefined,
): Promise<NamePage> {
  const [from = '0', after] = cursor?.split(' ') ?? []
  const first = Number(from)
  const command = ['EVAL', SLOTS, '0', real, from, `${limit}`]
  // Ends with a portion, or throws after TRIES attempts.
  for (let attempt = 0; ; attempt++) {
    const rounds = [rangeOf(await sendToAll(command)), rangeOf(await sendToAll(command))]
    const unknown = rounds.flatMap(({ owners, ids }) => [...owners].filter(([id]) => !ids.has(id)))
    if (unknown.length > 0 || rounds.some(({ ids }) => ids.size === 0)) {
      if (attempt >= TRIES) throw new Error('the Redis client does not know every primary of the Cluster')
      await learn(connection, real, unknown[0]?.[1] ?? first)
      continue
    }
    const last = Math.min(...rounds.map((round) => round.last))
    const names = [...new Map(rounds.flatMap(({ found }) => [...found]))]
      .filter(([name, slot]) => slot <= last && (slot > first || after === undefined || name > after))
      .sort(([one, slot], [other, otherSlot]) => slot - otherSlot || (one < other ? -1 : 1))
    const end = names[limit - 1]
    if (names.length > 2 * limit && end !== undefined)
      return { names: names.slice(0, limit).map(([name]) => name), cursor: `${end[1]} ${end[0]}` }
    return { names: names.map(([name]) => name), cursor: last >= 16383 ? undefined : `${last + 1}` }
  }
}

/**
 * The records of a range of slots on the primaries of a Cluster. `last`: the last slot that all primaries have looked at; `owners`:
 * the nodes that serve these slots, each with one of its slots.
 */
function rangeOf(answers: readonly unknown[]) {
  let last = 16383
  const [ids, owners, found] = [new Set<string>(), new Map<string, number>(), new Map<string, number>()]
  for (const answer of answers) {
    if (!Array.isArray(answer)) throw unexpected(answer)
    ids.add(textOf(answer[0]) ?? '')
    last = Math.min(last, Number(answer[1]))
    const [told, held] = [textsOf(answer[2]), textsOf(answer[3])]
    for (let at = 0; at + 1 < told.length; at += 2) owners.set(told[at] ?? '', Number(told[at + 1]))
    for (let at = 0; at + 1 < held.length; at += 2) found.set(held[at + 1] ?? '', Number(held[at]))
  }
  return { last, ids, owners, found }
}

/** Asks for a key in that slot: from the redirection the client learns which node serves it. */
async function learn({ ask }: Connection, prefix: string, slot: number): Promise<void> {
  const key = `${prefix}{${tagOf(slot)}}`
  await ask(['GET', key], key, textOf, ignore)
  await sleep(100)
}

/** A text that hashes to that slot. For each of the 16,384 slots there is a number below 200,000 that does. */
function tagOf(slot: number): string {
  for (let tag = 0; tag < 200_000; tag++) if (crc16(`${tag}`) % 16384 === slot) return `${tag}`
  throw new Error('a scan of a Cluster was to go on at a slot that no Cluster has')
}

/** CRC-16/XMODEM, by which a Cluster assigns keys to slots. */
function crc16(text: string): number {
  let crc = 0
  for (let at = 0; at < text.length; at++) {
    crc ^= text.charCodeAt(at) << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff
  }
  return crc
}
