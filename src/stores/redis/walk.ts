// All names of records under a prefix, in portions. Of one server by SCAN; of a Cluster slot by slot, by asking every
// primary for what it holds of the same slots.
import { setTimeout as sleep } from 'node:timers/promises'
import { textOf, textsOf, unexpected, type Connection } from './client.ts'
import { SLOTS } from './scripts.ts'

/** A portion of names; `cursor` is where the next one begins. */
export interface NamePage {
  readonly names: readonly string[]
  readonly cursor: string | undefined
}

/** How often a portion of one server asks for more before it is handed out, although it may be empty. */
const ROUNDS = 10

/** How often a walk begins anew, because a cursor of SCAN means nothing to the server that took over. */
const RESTARTS = 8

/** How often, 100 ms apart, a Cluster's client is given time to learn of a primary. */
const TRIES = 20

/**
 * A portion of one server. A cursor is the server's run id, how often the walk has begun anew, and what SCAN gave.
 *
 * @param real the prefix as the server knows it.
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
    // The command may not be allowed: then nobody can tell that another server answers.
    const info = ask(['INFO', 'server'], '', textOf, () => undefined)
    const [next, page] = await ask(['SCAN', position, 'MATCH', pattern, 'COUNT', `${limit}`], '', scanned)
    const served = /run_id:(\w+)/.exec((await info) ?? '')?.[1] ?? ''
    if (id !== served && !(cursor === undefined && round === 0)) {
      if (Number(restarts) >= RESTARTS) throw new Error('another Redis server answers with each portion of a scan')
      return { names: [], cursor: `${served} ${Number(restarts) + 1} 0` }
    }
    id = served
    position = next
    names.push(...page.filter((name) => isRecord(name, real)))
    if (position === '0') return { names, cursor: undefined }
  }
  return { names, cursor: `${id} ${restarts} ${position}` }
}

function scanned(answer: unknown): [string, string[]] {
  if (!Array.isArray(answer)) throw unexpected(answer)
  return [textOf(answer[0]) ?? '0', textsOf(answer[1])]
}

function isRecord(name: string, prefix: string): boolean {
  return name.length === prefix.length + 43 && name.startsWith(prefix)
}

/** What the primaries of a Cluster hold of a range of slots. */
interface Range {
  /** The last slot at which all have looked. */
  readonly last: number
  readonly ids: ReadonlySet<string>
  /** Who serves these slots, and one of them each. */
  readonly owners: ReadonlyMap<string, number>
  readonly found: ReadonlyMap<string, number>
}

/**
 * A portion of a Cluster. A cursor is a slot, and where that slot holds more than a portion the last name before.
 *
 * A slot may be on its way from one node to another, name by name. So all primaries are asked, and then all of them once
 * more: a name that moved after one of them was asked for the first time is found by the second round. That the client
 * knows all primaries is seen from what the nodes tell of each other.
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
  // Ends with a portion, or a throw after so many TRIES.
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

function rangeOf(answers: readonly unknown[]): Range {
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

/** Asks for a key in that slot: by the redirection the client learns who serves it. */
async function learn({ ask }: Connection, prefix: string, slot: number): Promise<void> {
  const key = `${prefix}{${tagOf(slot)}}`
  await ask(['GET', key], key, textOf, () => undefined)
  await sleep(100)
}

/** A text of that slot. Each of the 16,384 slots has a number below 200,000. */
function tagOf(slot: number): string {
  for (let tag = 0; tag < 200_000; tag++) if (crc16(`${tag}`) % 16384 === slot) return `${tag}`
  throw new Error('a scan of a Cluster was to go on at a slot that no Cluster has')
}

/** CRC-16/XMODEM, by which a Cluster spreads keys. */
function crc16(text: string): number {
  let crc = 0
  for (let at = 0; at < text.length; at++) {
    crc ^= text.charCodeAt(at) << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff
  }
  return crc
}
