// What every check is made of: its turn in the queue, fresh records, and the comparison of two records.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { SessionRecord, SessionStore } from '../store.ts'

/** One promise of a store. */
export interface StoreCheck {
  /** The promise, as a claim in the present tense; no two are alike. */
  readonly title: string
  /**
   * Resolves when the store keeps the promise.
   *
   * @throws {AssertionError} of `node:assert` when it breaks it; an error of the store's own comes through as it is.
   */
  readonly run: (store: SessionStore | Promise<SessionStore>) => Promise<void>
}

/** A store that surely has these of the optional verbs. */
export type With<Verb extends 'list' | 'deleteExpired' | 'close'> = SessionStore & Required<Pick<SessionStore, Verb>>

export const HOUR = 3_600_000
export const DAY = 86_400_000

// Stores of one process may share a database, where one check's sweep would be counted by another: so they take turns.
let queue: Promise<unknown> = Promise.resolve()

export function check(title: string, body: (store: SessionStore) => Promise<void>): StoreCheck {
  return {
    title,
    run(store) {
      const turn = Promise.all([store, queue]).then(([opened]) => body(opened))
      queue = Promise.allSettled([queue, turn])
      return turn
    },
  }
}

/** A check of an optional verb: it passes where the store does not have it. */
export function checkWhere<Verb extends 'list' | 'deleteExpired' | 'close'>(
  verb: Verb,
  title: string,
  body: (store: With<Verb>) => Promise<void>,
): StoreCheck {
  const has = (store: SessionStore): store is With<Verb> => typeof store[verb] === 'function'
  return check(`where the store has ${verb}, ${title}`, async (store) => {
    if (has(store)) await body(store)
  })
}

export function newKey(): string {
  return randomBytes(32).toString('base64url')
}

/** A record that lives an hour from `now` on, of no owner. */
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

/** The same, stored. */
export async function created(
  store: SessionStore,
  now: number,
  changes: Partial<SessionRecord> = {},
): Promise<SessionRecord> {
  const record = newRecord(now, changes)
  assert.equal(await store.create(record, now), true, 'create of a free key must be true')
  return record
}

/** What a commit would put in its place. */
export function successor(record: SessionRecord, changes: Partial<SessionRecord> = {}): SessionRecord {
  return { ...record, version: record.version + 1, payload: '{"visits":2}', ...changes }
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

/** That the store holds this very record, live at `now`. */
export async function assertHolds(
  store: SessionStore,
  expected: SessionRecord,
  now: number,
  when?: string,
): Promise<void> {
  assertSame(await store.read(expected.key, now), expected, when)
}

export async function assertAbsent(store: SessionStore, key: string, now: number, when: string): Promise<void> {
  assert.equal(await store.read(key, now), undefined, when)
}
