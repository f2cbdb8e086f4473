// Helpers for all checks: fresh records, comparison of records, and walks through portions.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { SessionRecord, SessionStore } from '../store.ts'
import type { With } from './run.ts'

export const HOUR = 3_600_000
export const DAY = 86_400_000

/** The numbers from 0 to 9, for ten calls at once. */
export const TEN: readonly number[] = Array.from({ length: 10 }, (_, index) => index)

export function newKey(): string {
  return randomBytes(32).toString('base64url')
}

export function keysOf(records: readonly SessionRecord[]): string[] {
  return records.map(({ key }) => key)
}

/** A record without an owner that lives for an hour from `now`. */
export function newRecord(now: number, changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    key: newKey(),
    version: 1,
    payload: '{"visits":1}',
    owner: undefined,
    createdAt: now,
    lastSeenAt: now,
    expiresAt: now + HOUR,
    meta: undefined,
    ...changes,
  }
}

/** A new record that the store holds. */
export async function created(
  store: SessionStore,
  now: number,
  changes: Partial<SessionRecord> = {},
): Promise<SessionRecord> {
  const record = newRecord(now, changes)
  assert.equal(await store.create(record, now), true, 'create of a free key must be true')
  return record
}

/** The record that a commit would replace it with. */
export function successor(record: SessionRecord, changes: Partial<SessionRecord> = {}): SessionRecord {
  return { ...record, version: record.version + 1, payload: '{"visits":2}', ...changes }
}

/** Asserts that exactly one of ten rivals got `answer`, and returns it. */
export function winner<T>(rivals: readonly SessionRecord[], answers: readonly T[], answer: T): SessionRecord {
  const [first, ...others] = rivals.filter((_, index) => answers[index] === answer)
  assert.ok(first !== undefined && others.length === 0, `of ten at once exactly one must get ${String(answer)}`)
  return first
}

/** Bytes may come back as a Buffer, and an absent meta may be left out. */
function comparable(record: SessionRecord): object {
  const { key, version, payload, owner, createdAt, lastSeenAt, expiresAt, meta } = record
  const content = typeof payload === 'string' ? payload : { bytes: Buffer.from(payload).toString('hex') }
  return { key, version, payload: content, owner, createdAt, lastSeenAt, expiresAt, meta }
}

export function assertSame(
  actual: SessionRecord | undefined,
  expected: SessionRecord,
  when = 'read must give what was written',
): void {
  assert.ok(actual !== undefined, `${when}, got undefined`)
  assert.ok(
    typeof actual.payload === 'string' || actual.payload instanceof Uint8Array,
    'a payload must be text or a Uint8Array',
  )
  assert.deepEqual(comparable(actual), comparable(expected), when)
}

/** Asserts that the store holds exactly this record, live at `now`. */
export async function assertHolds(
  store: SessionStore,
  expected: SessionRecord,
  now: number,
  when?: string,
): Promise<void> {
  assertSame(await store.read(expected.key, now), expected, when)
}

/** Asserts that a record with these fields comes back as it was written, by a create and by a replace. */
export async function assertKeeps(store: SessionStore, now: number, fields: Partial<SessionRecord>): Promise<void> {
  await assertHolds(store, await created(store, now, fields), now)
  const replaced = successor(await created(store, now), fields)
  assert.equal(await store.replace(replaced, 1, now), 'done')
  await assertHolds(store, replaced, now, 'read must give what replace has written')
}

export async function assertAbsent(store: SessionStore, key: string, now: number, when: string): Promise<void> {
  assert.equal(await store.read(key, now), undefined, when)
}

// More than any check needs. A walk of more portions than this fails instead of running for ever.
const MAX_PORTIONS = 100_000

/** Walks through all portions by their cursors and returns their items. `between` runs after each portion. */
async function portions<Item>(
  verb: string,
  field: 'records' | 'keys',
  ask: (cursor: string | undefined) => unknown,
  between?: (items: readonly Item[]) => Promise<void>,
): Promise<Item[]> {
  const all: Item[] = []
  let cursor: string | undefined
  for (let count = 0; count < MAX_PORTIONS; count++) {
    const portion = await ask(cursor)
    const shape = `${verb} must give a portion, { ${field}, cursor }`
    assert.ok(!Array.isArray(portion), `${shape}: an array of all, as version 0.1 asked for, is none`)
    assert.ok(typeof portion === 'object' && portion !== null, shape)
    // The cast assumes nothing about the two fields: both are checked here.
    const { [field]: items, cursor: next } = portion as Record<typeof field | 'cursor', unknown>
    assert.ok(Array.isArray(items), `${shape}, with an array of ${field}`)
    assert.ok(next === undefined || typeof next === 'string', `${shape}, with a cursor that is a text or undefined`)
    assert.ok(next === undefined || next !== cursor, `${shape}, whose cursor is another one than it was given`)
    all.push(...(items as Item[]))
    await between?.(items as Item[])
    if (next === undefined) return all
    cursor = next
  }
  return assert.fail(`${verb} must come to an end: a cursor that is undefined`)
}

/** The instant, the approximate size of a portion, and a function that runs after each portion. */
type Walk<Item> = [now: number, limit: number, between?: (items: readonly Item[]) => Promise<void>]

/** All records that `list` gives for an owner. */
export function listed(store: With<'list'>, owner: string, ...walk: Walk<SessionRecord>): Promise<SessionRecord[]> {
  const [now, limit, between] = walk
  return portions('list', 'records', (cursor) => store.list(owner, now, limit, cursor), between)
}

/** All keys that `listKeys` gives for an owner. */
export function listedKeys(store: With<'listKeys'>, owner: string, ...walk: Walk<string>): Promise<string[]> {
  const [now, limit, between] = walk
  return portions('listKeys', 'keys', (cursor) => store.listKeys(owner, now, limit, cursor), between)
}

/** All records that `scan` gives. */
export function scanned(store: With<'scan'>, ...[now, limit, between]: Walk<SessionRecord>): Promise<SessionRecord[]> {
  return portions('scan', 'records', (cursor) => store.scan(now, limit, cursor), between)
}

/** Creates `count` records, ten at a time. */
export async function createdMany(
  store: SessionStore,
  now: number,
  count: number,
  changes: (index: number) => Partial<SessionRecord>,
): Promise<SessionRecord[]> {
  const records: SessionRecord[] = []
  while (records.length < count) {
    const width = Math.min(10, count - records.length)
    const made = Array.from({ length: width }, async (_, index) => created(store, now, changes(records.length + index)))
    records.push(...(await Promise.all(made)))
  }
  return records
}
