// A record is read as it was written, while it is live by the caller's clock.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { check, type StoreCheck } from './run.ts'
import { assertAbsent, assertHolds, assertKeeps, created, DAY, HOUR, newKey, newRecord, successor } from './scene.ts'

const ODD_TEXTS = [
  '',
  ' ',
  '0',
  '1e3',
  '007',
  'null',
  'undefined',
  'true',
  '[object Object]',
  '{"quote":"\\"","path":"C:\\\\temp"}',
  '\'; drop table sessions; -- " ` $1 ? :key {0} %s',
  'line\nline\r\nline\ttab\u0001\u001f\u007f',
  ' leading and trailing ',
  '\ufeffbyte order mark',
  '\u2028\u2029 \u00e9 e\u0301 \u6f22\u5b57 \u{1f600} \u{10ffff}',
  'AAECAw==',
  'NUL \0 inside',
  '\0',
  'half a pair \ud83d',
  '\ude00 the other half',
]

/** A lifetime, in milliseconds, after which a store's own time to live may end a record. Some count whole seconds. */
const SHORT = 1500

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, index) => index)

export const readChecks: readonly StoreCheck[] = [
  check('a record comes back with all its fields', async (store, now) => {
    const record = await created(store, now, {
      version: 7,
      payload: '{"cart":[1,2]}',
      owner: 'ada',
      createdAt: now - 2 * HOUR,
      lastSeenAt: now - HOUR,
      expiresAt: now + 400 * DAY,
      meta: '{"signedIn":1}',
    })

    await assertHolds(store, record, now)
  }),

  check('an absent owner and an absent meta come back as undefined', async (store, now) => {
    const record = await created(store, now)

    await assertHolds(store, record, now)
  }),

  check('a text payload comes back letter by letter, however odd or empty', async (store, now) => {
    await Promise.all(ODD_TEXTS.map((payload) => assertKeeps(store, now, { payload })))
  }),

  check('a meta text comes back letter by letter, however odd', async (store, now) => {
    for (const fields of [{}, { payload: '' }])
      await Promise.all(ODD_TEXTS.map((meta) => assertKeeps(store, now, { meta, ...fields })))
  }),

  check('a text payload of 64 kB comes back whole', async (store, now) => {
    await assertKeeps(store, now, { payload: 'x\u00e9\u6f22"'.repeat(16_384) })
  }),

  check('a payload of 300 kB comes back whole, as text and as bytes', async (store, now) => {
    for (const payload of ['x'.repeat(307_200), Buffer.alloc(307_200, ALL_BYTES)])
      await assertKeeps(store, now, { payload })
  }),

  check('a meta text of 2000 characters comes back whole', async (store, now) => {
    await assertKeeps(store, now, { meta: 'm'.repeat(2000) })
  }),

  check('versions are whole numbers of more than 16 bits', async (store, now) => {
    for (const version of [255, 65_535, 1_000_000]) {
      const record = await created(store, now, { version })
      const next = successor(record)

      assert.equal(await store.replace(next, version, now), 'done')
      await assertHolds(store, next, now)
      for (const other of [next.version % 256, next.version % 65_536]) {
        if (other === next.version) continue
        assert.equal(await store.replace(successor(next), other, now), 'stale')
        assert.equal(await store.touch(record.key, other, now + 1, now + HOUR, now), false)
      }
    }
  }),

  check('a payload of bytes comes back as the same bytes', async (store, now) => {
    const payloads = [
      ALL_BYTES,
      Buffer.from(ALL_BYTES).reverse(),
      new Uint8Array(0),
      Uint8Array.of(0xff, 0xfe, 0x00, 0xc3, 0x28),
    ]
    for (const payload of payloads) await assertKeeps(store, now, { payload })
  }),

  check('of bytes that are a window on a larger buffer only the window is kept', async (store, now) => {
    await assertKeeps(store, now, { payload: ALL_BYTES.subarray(100, 110) })
  }),

  check('a payload of 64 kB of bytes comes back whole', async (store, now) => {
    await assertKeeps(store, now, { payload: Buffer.alloc(65_536, ALL_BYTES) })
  }),

  check('a replace may turn a text payload into bytes and back', async (store, now) => {
    const text = await created(store, now, { payload: 'abc' })
    const bytes = successor(text, { payload: Buffer.from('abc') })
    const textAgain = successor(bytes, { payload: 'abc' })

    assert.equal(await store.replace(bytes, 1, now), 'done')
    await assertHolds(store, bytes, now)
    assert.equal(await store.replace(textAgain, 2, now), 'done')
    await assertHolds(store, textAgain, now)
  }),

  check('an owner comes back letter by letter, up to 255 characters', async (store, now) => {
    const owners = [...ODD_TEXTS.slice(1), '\'"`\\%_*?[]{}:;,|/$', '__proto__', 'x'.repeat(255), '\u6f22'.repeat(255)]
    await Promise.all(owners.map((owner) => assertKeeps(store, now, { owner })))
  }),

  check('keys that look alike are kept apart', async (store, now) => {
    const stem = newKey().slice(0, 40)
    const records = []
    for (const end of ['aaa', 'AAA', 'aAa', 'a_a', 'a-a', '___', '---']) {
      records.push(await created(store, now, { key: stem + end, payload: end }))
    }

    for (const record of records) await assertHolds(store, record, now)
  }),

  check('missing, expired and deleted records read alike: undefined', async (store, now) => {
    const expired = await created(store, now)
    const deleted = await created(store, now)
    await store.delete(deleted.key)

    await assertAbsent(store, newKey(), now, 'a missing record must read as undefined')
    await assertAbsent(store, expired.key, now + 2 * HOUR, 'an expired record must read as undefined')
    await assertAbsent(store, deleted.key, now, 'a deleted record must read as undefined')
  }),

  check('a record is live until the instant before expiresAt, and expired at it', async (store, now) => {
    const record = await created(store, now)

    await assertHolds(store, record, record.expiresAt - 1)
    await assertAbsent(store, record.key, record.expiresAt, 'at expiresAt a record must be expired')
  }),

  check(
    "the caller's clock alone decides what is expired, also a year behind or ahead of the store's",
    async (store, today) => {
      for (const now of [today - 365 * DAY, today + 365 * DAY]) {
        const record = await created(store, now)

        assert.equal(await store.create(newRecord(now, { key: record.key }), now), false)
        await assertHolds(store, record, record.expiresAt - 1)
        await assertAbsent(store, record.key, record.expiresAt, 'at expiresAt a record must be expired')
      }
    },
  ),

  check(
    "the caller's clock alone decides after a touch and a replace, too, a year behind or ahead",
    async (store, today) => {
      for (const now of [today - 365 * DAY, today + 365 * DAY]) {
        const record = await created(store, now)
        const touched = { ...record, lastSeenAt: now + 5, expiresAt: now + 2 * HOUR }
        const replaced = successor(touched)

        assert.equal(await store.touch(record.key, 1, touched.lastSeenAt, touched.expiresAt, now + 5), true)
        await assertHolds(store, touched, touched.expiresAt - 1)
        assert.equal(await store.replace(replaced, 1, now + 5), 'done')
        await assertHolds(store, replaced, replaced.expiresAt - 1)
      }
    },
  ),

  check(
    "a touch and a replace that move a record's end move a time to live of the store's own, too",
    async (store, now) => {
      const touched = await created(store, now, { expiresAt: now + SHORT })
      const replaced = await created(store, now, { expiresAt: now + SHORT })
      const next = successor(replaced, { expiresAt: now + HOUR })
      assert.equal(await store.touch(touched.key, 1, now + 1, now + HOUR, now + 1), true)
      assert.equal(await store.replace(next, 1, now + 1), 'done')

      // Only time itself shows what the store does by its own clock.
      await wait(SHORT + 1000)

      await assertHolds(store, { ...touched, lastSeenAt: now + 1, expiresAt: now + HOUR }, now + SHORT + 1000)
      await assertHolds(store, next, now + SHORT + 1000)
    },
  ),

  check('a record that is live by the clock of a caller a year behind can be deleted', async (store, today) => {
    const now = today - 365 * DAY
    const { key } = await created(store, now)

    assert.equal(await store.delete(key), true, 'delete must be true: there was a record')
    await assertAbsent(store, key, now, 'a deleted record must read as undefined')
  }),

  check('instants after the year 2038 come back to the millisecond', async (store) => {
    const now = Date.UTC(2042, 1, 3, 4, 5, 6, 789)
    const record = await created(store, now)

    await assertHolds(store, record, now)
    await assertHolds(store, record, record.expiresAt - 1)
    await assertAbsent(store, record.key, record.expiresAt, 'at expiresAt a record must be expired')
  }),
]
