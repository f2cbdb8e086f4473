// Walks through everything that a store gives in portions.
import type { ExecutionContext } from 'ava'
import type { SessionRecord, SessionStore } from '../../src/store.ts'
import { newRecord, NOW } from './records.ts'

/** The verbs that give portions. */
type Portions = Required<Pick<SessionStore, 'list' | 'listKeys' | 'scan'>>
type Walkable = SessionStore & Portions
type Lists = Pick<Portions, 'list'>
type KeyLists = Pick<Portions, 'listKeys'>
type Scans = Pick<Portions, 'scan'>

// A store whose cursors never end fails instead of looking slow.
const MOST_PORTIONS = 100_000

async function* portions<Page extends { readonly cursor: string | undefined }>(
  ask: (cursor: string | undefined) => Page | Promise<Page>,
): AsyncGenerator<Page> {
  let cursor: string | undefined
  for (let count = 0; count < MOST_PORTIONS; count++) {
    const page = await ask(cursor)
    yield page
    cursor = page.cursor
    if (cursor === undefined) return
  }
  throw new Error('the portions have no end')
}

/** All portions of a list. */
export async function listed(store: Lists, owner: string, now: number, limit = 100): Promise<SessionRecord[]> {
  const all: SessionRecord[] = []
  for await (const { records } of portions((cursor) => store.list(owner, now, limit, cursor))) all.push(...records)
  return all
}

/** All portions of a list of keys. */
export async function keysListed(store: KeyLists, owner: string, now: number, limit = 100): Promise<string[]> {
  const all: string[] = []
  for await (const { keys } of portions((cursor) => store.listKeys(owner, now, limit, cursor))) all.push(...keys)
  return all
}

/** All portions of a scan; `between` runs after each, with its number. */
export async function scanned(
  store: Scans,
  now: number,
  limit = 100,
  between: (portion: number) => unknown = () => undefined,
): Promise<SessionRecord[]> {
  const all: SessionRecord[] = []
  let count = 0
  for await (const { records } of portions((cursor) => store.scan(now, limit, cursor))) {
    all.push(...records)
    await between(count++)
  }
  return all
}

/** Checks that portions of each of these sizes give every live session once, and nothing else. */
export async function checkPortions(t: ExecutionContext, store: Walkable, limits: readonly number[]): Promise<void> {
  const make = (count: number, fields: Partial<SessionRecord>) =>
    Array.from({ length: count }, () => newRecord({ meta: undefined, ...fields }))
  const [mine, others, anonymous] = [make(120, { owner: 'ada' }), make(30, { owner: 'bob' }), make(30, {})]
  const over = make(100, { owner: 'ada', expiresAt: NOW })
  for (const record of [...mine, ...over, ...others, ...anonymous]) await store.create(record, NOW - 1)
  const sorted = (records: readonly SessionRecord[]) => [...records].sort((a, b) => (a.key < b.key ? -1 : 1))

  for (const limit of limits) {
    t.deepEqual(await listed(store, 'ada', NOW, limit), sorted(mine), `list by ${limit}`)
    t.deepEqual(
      await keysListed(store, 'ada', NOW, limit),
      sorted(mine).map(({ key }) => key),
      `listKeys by ${limit}`,
    )
    t.deepEqual(await scanned(store, NOW, limit), sorted([...mine, ...others, ...anonymous]), `scan by ${limit}`)
  }
}

/**
 * Scans while sessions begin, end and are touched between the portions. Returns how often the sessions that lived throughout were
 * given, each distinct number once.
 */
export async function timesScanned(
  store: Walkable,
  count: number,
  limit: number,
  between: (portion: number) => unknown = () => undefined,
): Promise<(number | undefined)[]> {
  const living = Array.from({ length: count }, () => newRecord())
  const going = Array.from({ length: count }, () => newRecord())
  for (const record of [...living, ...going]) await store.create(record, NOW)

  const seen = await scanned(store, NOW, limit, async (portion) => {
    for (const { key } of going.splice(0, 10)) await store.delete(key)
    await store.create(newRecord(), NOW)
    const touched = living[portion % living.length]
    const later = portion + 1
    if (touched !== undefined) await store.touch(touched.key, 1, NOW + later, NOW + 1000 + later, NOW)
    await between(portion)
  })

  const times = new Map<string, number>()
  for (const { key } of seen) times.set(key, (times.get(key) ?? 0) + 1)
  return [...new Set(living.map(({ key }) => times.get(key)))]
}
