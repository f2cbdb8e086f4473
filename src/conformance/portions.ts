// list, listKeys and scan in portions: they find all records, also while others come and go. A scan covers all owners.
import assert from 'node:assert/strict'
import type { SessionRecord, SessionStore } from '../store.ts'
import { checkWhere, type StoreCheck, type With } from './run.ts'
import {
  assertSame,
  created,
  createdMany,
  DAY,
  listed,
  listedKeys,
  keysOf,
  newKey,
  scanned,
  successor,
} from './scene.ts'

// More than the usual default page sizes of databases and their clients: 10, 50, 100.
const MANY = 120
const LIMITS = [1, 7, 50, 1000]

/** Asserts that the keys of all these records were found. Others may have been found as well. */
function assertAmong(found: readonly string[], records: readonly SessionRecord[], message: string): void {
  const all = new Set(found)
  const missing = keysOf(records).filter((key) => !all.has(key))
  assert.deepEqual(missing, [], message)
}

/**
 * Deletes some records, creates others, and changes those that stay, between two portions. It stops when `leaving` and `staying`
 * are used up: a walk that creates as many records as it passes might never end.
 */
function disturbance(
  store: SessionStore,
  now: number,
  owner: string,
  staying: readonly SessionRecord[],
  leaving: readonly SessionRecord[],
): () => Promise<void> {
  let portion = 0
  return async () => {
    const index = portion++
    const [left, stays] = [leaving.slice(2 * index, 2 * index + 2), staying[index]]
    for (const { key } of left) await store.delete(key)
    if (left.length > 0) await created(store, now, { owner })
    if (stays === undefined) return
    if (index % 2 === 0) await store.replace(successor(stays, { payload: 'x'.repeat(200 * index) }), 1, now)
    else await store.touch(stays.key, 1, now + 1, stays.expiresAt + 1, now)
  }
}

type PortionVerb = 'list' | 'listKeys' | 'scan'

/** Walks through what a verb gives, in portions of five, and calls `between` after each. */
type Walk<Verb extends PortionVerb, Found> = (
  store: With<Verb>,
  now: number,
  owner: string,
  between: (items: readonly unknown[]) => Promise<void>,
) => Promise<Found>

/** Checks that no portion is much larger than its limit. */
function checkSize<Verb extends PortionVerb>(verb: Verb, walk: Walk<Verb, unknown>): StoreCheck {
  return checkWhere(verb, 'portions stay near their limit, however much there is', async (store, now) => {
    const owner = newKey()
    await createdMany(store, now, MANY, () => ({ owner }))
    let largest = 0

    await walk(store, now, owner, (items) => {
      largest = Math.max(largest, items.length)
      return Promise.resolve()
    })

    assert.ok(largest <= MANY / 2, `a portion of about 5 must not have ${largest}`)
  })
}

/** Checks that a walk in portions of five finds each record that lives throughout, while others are created and deleted. */
function checkThroughout<Verb extends PortionVerb>(
  verb: Verb,
  title: string,
  message: string,
  walk: Walk<Verb, string[]>,
): StoreCheck {
  return checkWhere(verb, title, async (store, now) => {
    const owner = newKey()
    const records = await createdMany(store, now, MANY, () => ({ owner }))
    const [staying, leaving] = [records.slice(MANY / 2), records.slice(0, MANY / 2)]

    const found = await walk(store, now, owner, disturbance(store, now, owner, staying, leaving))

    assertAmong(found, staying, message)
  })
}

export const portionChecks: readonly StoreCheck[] = [
  checkWhere('list', 'portions of any size add up to all records of the owner', async (store, now) => {
    const owner = newKey()
    const records = await createdMany(store, now, MANY, () => ({ owner }))
    await createdMany(store, now, 5, () => ({ owner: newKey() }))
    // A portion of only expired records is empty, but need not be the last.
    await createdMany(store, now, 10, () => ({ owner, expiresAt: now + 1000 }))

    for (const limit of LIMITS)
      assert.deepEqual(
        [...new Set(keysOf(await listed(store, owner, now + 1000, limit)))].sort(),
        keysOf(records).sort(),
        `portions of ${limit} must add up to all records of the owner, and no other`,
      )
  }),

  checkSize('list', (store, now, owner, between) => listed(store, owner, now, 5, between)),

  checkThroughout(
    'list',
    'a record that lives throughout is listed, whatever comes and goes between portions',
    'a record that lives from the first portion to the last must be listed',
    async (store, now, owner, between) => keysOf(await listed(store, owner, now, 5, between)),
  ),

  checkWhere(
    'listKeys',
    'portions of any size add up to the keys of all live records of the owner',
    async (store, now) => {
      const owner = newKey()
      const records = await createdMany(store, now, MANY, () => ({ owner }))
      const brief = await created(store, now, { owner, expiresAt: now + 1000 })
      const deleted = await created(store, now, { owner })
      await store.delete(deleted.key)
      await created(store, now, { owner: newKey() })

      // First: a store may delete what it finds expired.
      assertAmong(await listedKeys(store, owner, now + 999, 100), [brief], 'a live record must be among the keys')
      for (const limit of LIMITS)
        assert.deepEqual(
          [...new Set(await listedKeys(store, owner, now + 1000, limit))].sort(),
          keysOf(records).sort(),
          `portions of ${limit} must add up to the keys of the owner's live records, and no other`,
        )
      assert.deepEqual(await listedKeys(store, newKey(), now, 100), [], 'there are no keys of an owner without records')
    },
  ),

  checkWhere(
    'listKeys',
    'a record follows its owner, and leaves with an end that takes its owner away',
    async (store, now) => {
      const [first, second] = [newKey(), newKey()]
      const moved = successor(await created(store, now, { owner: first }), { owner: second })
      const ended = successor(await created(store, now, { owner: first }), { owner: undefined, payload: '' })

      await store.replace(moved, 1, now)
      await store.replace(ended, 1, now)

      assert.deepEqual(await listedKeys(store, first, now, 100), [], 'what left an owner must leave the keys')
      assert.deepEqual([...new Set(await listedKeys(store, second, now, 100))], [moved.key])
    },
  ),

  checkSize('listKeys', (store, now, owner, between) => listedKeys(store, owner, now, 5, between)),

  checkThroughout(
    'listKeys',
    'a record that lives throughout is among them, whatever comes and goes between',
    'a record that lives from the first portion to the last must be among the keys',
    (store, now, owner, between) => listedKeys(store, owner, now, 5, between),
  ),

  // The database may hold other records, which a scan finds too: each check looks only at its own.
  checkWhere(
    'scan',
    'portions of any size come to all live records, of all owners and of none, in full',
    async (store, now) => {
      const records = await createdMany(store, now, MANY, (index) => ({
        owner: index % 3 === 0 ? newKey() : undefined,
        payload: index % 2 === 0 ? `text ${index}` : Uint8Array.of(0, 128, index),
        meta: index % 5 === 0 ? 'm' : undefined,
        version: index + 1,
      }))

      for (const limit of LIMITS.slice(1)) {
        const found = new Map((await scanned(store, now, limit)).map((record) => [record.key, record]))
        assertAmong([...found.keys()], records, `portions of ${limit} must come to all live records`)
        for (const record of records) assertSame(found.get(record.key), record, 'scan must give full records')
      }
    },
  ),

  checkWhere('scan', 'it leaves expired, ended and deleted records out', async (store, today) => {
    // By the caller's clock alone.
    for (const now of [today, today - 365 * DAY]) {
      const owner = newKey()
      const live = await createdMany(store, now, 3, () => ({ expiresAt: now + 1001 }))
      const expired = await createdMany(store, now, 3, () => ({ owner, expiresAt: now + 1000 }))
      const ended = successor(await created(store, now), { expiresAt: now })
      const deleted = await created(store, now, { owner })
      await store.replace(ended, 1, now)
      await store.delete(deleted.key)

      const found = keysOf(await scanned(store, now + 1000, 100))

      assertAmong(found, live, 'scan must come to all live records')
      const gone = keysOf([...expired, ended, deleted])
      assert.ok(!gone.some((key) => found.includes(key)), 'scan must leave out what has ended')
    }
  }),

  checkSize('scan', (store, now, _owner, between) => scanned(store, now, 5, between)),

  checkThroughout(
    'scan',
    'it comes to a record that lives throughout, whatever comes and goes between portions',
    'scan must come to a record that lives from the first portion to the last',
    async (store, now, _owner, between) => keysOf(await scanned(store, now, 5, between)),
  ),
]
