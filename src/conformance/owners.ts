// The index by owner: list gives every live record of the owner, and no other.
import assert from 'node:assert/strict'
import type { SessionRecord } from '../store.ts'
import { checkWhere, type StoreCheck, type With } from './run.ts'
import { listed, assertSame, created, createdMany, DAY, HOUR, keysOf, newKey, newRecord, successor } from './scene.ts'

/** Asserts that list gives each of these records at least once, and no other. */
async function assertListed(
  store: With<'list'>,
  owner: string,
  expected: readonly SessionRecord[],
  now: number,
): Promise<void> {
  const found = new Map((await listed(store, owner, now, 100)).map((record) => [record.key, record]))
  assert.deepEqual(
    [...found.keys()].sort(),
    keysOf(expected).sort(),
    'list must give the live records of that owner, and no other',
  )
  for (const record of expected) assertSame(found.get(record.key), record, 'list must give full records')
}

/** A check of `list` with an owner who has no records yet. */
function checkList(
  title: string,
  body: (store: With<'list'>, now: number, owner: string) => Promise<void>,
): StoreCheck {
  return checkWhere('list', title, (store, now) => body(store, now, newKey()))
}

export const listChecks: readonly StoreCheck[] = [
  checkList("it gives an owner's live records in full, and nobody else's", async (store, now, owner) => {
    const records = [
      await created(store, now, { owner, payload: 'text', meta: 'm' }),
      await created(store, now, { owner, payload: Uint8Array.of(0, 128, 255), version: 3 }),
      await created(store, now, { owner, payload: '' }),
    ]
    await created(store, now, { owner: newKey() })
    await created(store, now)

    await assertListed(store, owner, records, now)
  }),

  checkList('it is empty for an owner without records', async (store, now, owner) => {
    await created(store, now)
    await created(store, now, { owner: newKey() })

    await assertListed(store, owner, [], now)
  }),

  checkList('it leaves expired records out', async (store, today) => {
    // By the caller's clock alone.
    for (const now of [today, today - 365 * DAY]) {
      const owner = newKey()
      const brief = await created(store, now, { owner, expiresAt: now + 1000 })
      const long = await created(store, now, { owner })

      await assertListed(store, owner, [brief, long], now + 999)
      await assertListed(store, owner, [long], now + 1000)
    }
  }),

  checkList('it leaves deleted records out', async (store, now, owner) => {
    const kept = await created(store, now, { owner })
    const deleted = await created(store, now, { owner })

    await store.delete(deleted.key)

    await assertListed(store, owner, [kept], now)
  }),

  checkList('it leaves records out that a replace has ended', async (store, now, owner) => {
    const record = await created(store, now - 1, { owner })

    await store.replace(successor(record, { expiresAt: now }), 1, now)

    await assertListed(store, owner, [], now)
  }),

  checkList('it shows the newest version after a replace', async (store, now, owner) => {
    const next = successor(await created(store, now, { owner }))

    await store.replace(next, 1, now)

    await assertListed(store, owner, [next], now)
  }),

  checkList(
    'it shows the instants that a touch moved, and keeps the record listed until then',
    async (store, now, owner) => {
      const record = await created(store, now, { owner })
      const moved = { ...record, lastSeenAt: now + 5, expiresAt: now + 3 * HOUR }

      await store.touch(record.key, 1, moved.lastSeenAt, moved.expiresAt, now + 5)

      await assertListed(store, owner, [moved], moved.expiresAt - 1)
    },
  ),

  checkList('a record that outlives the ones before it in the index stays listed', async (store, now, owner) => {
    const long = await created(store, now, { owner, expiresAt: now + 9 * HOUR })
    await created(store, now, { owner, expiresAt: now + 1000 })

    await assertListed(store, owner, [long], now + 8 * HOUR)
  }),

  checkList('a record follows its owner when a replace gives it to another', async (store, now) => {
    const [first, second] = [newKey(), newKey()]
    const moved = successor(await created(store, now, { owner: first }), { owner: second })

    await store.replace(moved, 1, now)

    await assertListed(store, first, [], now)
    await assertListed(store, second, [moved], now)
  }),

  checkList('a replace may give an owner to an anonymous record and take it away again', async (store, now, owner) => {
    const owned = successor(await created(store, now), { owner })
    const anonymous = successor(owned, { owner: undefined })

    await store.replace(owned, 1, now)
    await assertListed(store, owner, [owned], now)
    await store.replace(anonymous, 2, now)
    await assertListed(store, owner, [], now)
  }),

  checkList('a refused create or replace changes no index', async (store, now, owner) => {
    const mallory = newKey()
    const record = await created(store, now, { owner })

    await store.create(newRecord(now, { key: record.key, owner: mallory }), now)
    await store.replace(successor(record, { owner: mallory, version: 9 }), 8, now)
    await store.replace(newRecord(now, { owner: mallory }), 1, now)

    await assertListed(store, owner, [record], now)
    await assertListed(store, mallory, [], now)
  }),

  checkList('a key that is created anew belongs to its new owner only', async (store, now) => {
    const [first, second] = [newKey(), newKey()]
    const expired = await created(store, now, { owner: first, expiresAt: now + 1000 })
    const record = await created(store, now + 1000, { key: expired.key, owner: second })

    await assertListed(store, first, [], now + 1000)
    await assertListed(store, second, [record], now + 1000)
  }),

  checkList('owners that look alike are kept apart', async (store, now) => {
    const stem = newKey()
    const ends = [
      '',
      'a',
      'A',
      'aa',
      ':',
      ':a',
      '*',
      '?',
      '[a]',
      '{a}',
      '%',
      '_',
      "'",
      '"',
      '\\',
      ' ',
      '\t',
      '/',
      '\u00e9',
      'e\u0301',
      'E\u0301',
      '\u{1f600}',
      '0',
      '00',
      '\0',
      '\0a',
      '\ud800',
      '\udc00',
      '\ufffd',
      `${'x'.repeat(211)}a`,
      `${'x'.repeat(211)}b`,
    ]
    const owners = [...ends.map((end) => stem + end), ` ${stem}`, `x${stem}`, `{${stem}}`]
    const records = new Map<string, SessionRecord>()
    for (const owner of owners) records.set(owner, await created(store, now, { owner }))

    for (const [owner, record] of records) await assertListed(store, owner, [record], now)
  }),

  checkList('of ten sessions that one owner opens at once all are listed', async (store, now, owner) => {
    const records = Array.from({ length: 10 }, () => newRecord(now, { owner }))

    await Promise.all(records.map(async (record) => store.create(record, now)))

    await assertListed(store, owner, records, now)
  }),

  checkList('of ten sessions that are deleted at once none is listed', async (store, now, owner) => {
    const [kept, ...rest] = await createdMany(store, now, 11, () => ({ owner }))
    assert.ok(kept)

    await Promise.all(rest.map(async ({ key }) => store.delete(key)))

    await assertListed(store, owner, [kept], now)
  }),

  checkList(
    'a record that can be read is listed, also while its create or replace is under way',
    async (store, now) => {
      for (let round = 0; round < 5; round++) {
        const owner = newKey()
        const anonymous = await created(store, now)
        const [fresh, owned] = [newRecord(now, { owner }), successor(anonymous, { owner })]
        let written = 0
        const write = async (verb: () => unknown) => {
          await verb()
          written++
        }
        const look = async () => {
          for (let looks = 0; written < 2 && looks < 1000; looks++) {
            const live = [await store.read(fresh.key, now), await store.read(owned.key, now)]
            const found = new Set(keysOf(await listed(store, owner, now, 100)))
            for (const record of live) {
              if (record?.owner === owner)
                assert.ok(found.has(record.key), 'a record must be in the index before it can be read')
            }
          }
        }

        await Promise.all([write(() => store.create(fresh, now)), write(() => store.replace(owned, 1, now)), look()])
        await assertListed(store, owner, [fresh, owned], now)
      }
    },
  ),

  checkList('a portion that is the only one shows a session that moves to another key', async (store, now, owner) => {
    // A store that reads one record after another takes its time for these.
    const others = await createdMany(store, now, 20, () => ({ owner }))
    let record = await created(store, now, { owner })
    let moves = 0
    const move = async () => {
      for (; moves < 20; moves++) {
        const next = await created(store, now, { owner })
        await store.replace(successor(record, { owner: undefined, payload: '' }), 1, now)
        record = next
      }
    }
    const look = async () => {
      for (let looks = 0; moves < 20 && looks < 1000; looks++) {
        const { records, cursor } = await store.list(owner, now, 100, undefined)
        const isSeen = cursor !== undefined || records.length > others.length
        assert.ok(isSeen, 'a list of one portion must show all records at one instant, or give a cursor')
      }
    }

    await Promise.all([move(), look()])
  }),
]
