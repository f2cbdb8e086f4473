import test from 'ava'
import { HOUR, newKey, newRecord, successor } from '../../src/conformance/scene.ts'
import type { SessionRecord } from '../../src/store.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { listed } from '../support/portions.ts'
import { around } from '../support/redis-clients.ts'
import { startEachRedis } from '../support/redis.ts'

const MINUTE = 60_000

const NOW = Date.now()

const servers = await startEachRedis()
if (servers.length === 0) test.skip('the owner index of RedisStore', (t) => t.pass())

for (const { make, admin, freshPrefix, stop } of servers) {
  test.after.always(async () => {
    await stop()
  })

  test(`${make.name}: an entry of the index survives a list that comes before its record`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    let before: SessionRecord[] | undefined
    const slow = new RedisStore(
      around(admin, async (send, n) => {
        if (n === 2) {
          t.is(await admin.exists(`${prefix}${record.key}`), 0)
          before = await listed(store, 'ada', NOW)
        }
        return send()
      }),
      { prefix },
    )
    // So that the scripts are known and the second command is the record's.
    await store.create(newRecord(NOW, { owner: 'bob' }), NOW)

    await slow.create(record, NOW)

    t.deepEqual(before, [])
    t.deepEqual(await listed(store, 'ada', NOW), [record])
  })

  test(`${make.name}: owners whose names UTF-8 does not tell apart have an index each`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    for (const owner of ['x\ud800', 'x\ud801', 'x\ufffd']) await store.create(newRecord(NOW, { owner }), NOW)

    t.is((await admin.keys(`${prefix}owner:*`)).length, 3)
  })

  test(`${make.name}: an entry that arrives late takes nothing from the index`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    const moved = { lastSeenAt: NOW + 2, expiresAt: NOW + 9 * HOUR }
    await store.create(record, NOW)
    const slow = new RedisStore(
      around(admin, async (send, n) => {
        if (n === 2) t.true(await store.touch(record.key, 1, moved.lastSeenAt, moved.expiresAt, NOW))
        return send()
      }),
      { prefix },
    )
    // So that the scripts are known and the second command is the index's.
    await store.touch(record.key, 1, NOW, NOW + HOUR, NOW)

    t.true(await slow.touch(record.key, 1, NOW + 1, NOW + HOUR, NOW))
    await store.create(newRecord(NOW + 8 * HOUR, { owner: 'ada', expiresAt: NOW + 8 * HOUR + 1 }), NOW + 8 * HOUR)

    t.deepEqual(await listed(store, 'ada', NOW + 9 * HOUR - 1), [{ ...record, ...moved }])
  })

  for (const verb of ['touch', 'replace'] as const) {
    test(`${make.name}: a session that lives on by ${verb} alone stays listed`, async (t) => {
      const store = new RedisStore(admin, { prefix: freshPrefix() })
      const { key } = newRecord(NOW)
      let record = newRecord(NOW, { key, owner: 'ada' })
      await store.create(record, NOW)

      for (let now = NOW; now < NOW + 24 * HOUR; now += 35 * MINUTE) {
        const moved = { lastSeenAt: now, expiresAt: now + HOUR }
        if (verb === 'touch') t.true(await store.touch(key, 1, moved.lastSeenAt, moved.expiresAt, now))
        else t.is(await store.replace(successor(record, moved), record.version, now), 'done')
        record = verb === 'touch' ? { ...record, ...moved } : successor(record, moved)
        // Another session of the owner, so that what is past leaves the index.
        await store.create(newRecord(NOW, { owner: 'ada', expiresAt: now + 1 }), now)

        t.deepEqual(await listed(store, 'ada', record.expiresAt - 1), [record])
      }
    })
  }

  test(`${make.name}: a touch puts an entry back that the index has lost`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    await store.create(record, NOW)
    await admin.del(await admin.keys(`${prefix}owner:*`))
    t.deepEqual(await listed(store, 'ada', NOW), [])

    await store.touch(record.key, 1, NOW, NOW + HOUR, NOW)

    t.deepEqual(await listed(store, 'ada', NOW), [record])
  })

  test(`${make.name}: entries that are past leave the index when another one is written`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    for (let index = 0; index < 10; index++) await store.create(newRecord(NOW, { owner: 'ada' }), NOW)
    const later = NOW + 3 * HOUR
    const last = newRecord(NOW, { owner: 'ada', expiresAt: later + HOUR })

    await store.create(last, later)

    const [index = ''] = await admin.keys(`${prefix}owner:*`)
    t.deepEqual(await admin.zrange(index, '0', '-1'), [last.key])
    await store.delete(last.key)
    t.is(await admin.exists(index), 0)
  })

  /** The entries of an owner's index, with the age in minutes that their stamps tell; `undefined` without a stamp. */
  const entriesOf = async (prefix: string): Promise<Map<string, number | undefined>> => {
    const [index] = await admin.keys(`${prefix}owner:*`)
    if (index === undefined) return new Map()
    const flat = await admin.zrange(index, '0', '-1', 'WITHSCORES')
    const minute = (Math.floor(Number((await admin.time())[0]) / 60) % 2047) + 1
    const ages = new Map<string, number | undefined>()
    for (let at = 0; at + 1 < flat.length; at += 2) {
      const stamp = (Number(flat[at + 1]) % 1) * 2048
      ages.set(flat[at] ?? '', stamp === 0 ? undefined : (minute - stamp + 2047) % 2047)
    }
    return ages
  }

  /** Writes entries as they were written so many minutes ago; without an age as version 0.1 writes them. */
  const enlist = async (prefix: string, owner: string, keys: readonly string[], age?: number): Promise<void> => {
    const store = new RedisStore(admin, { prefix })
    const any = newRecord(NOW, { owner })
    await store.create(any, NOW)
    const [index = ''] = await admin.keys(`${prefix}owner:*`)
    await store.delete(any.key)
    const minute = (Math.floor(Number((await admin.time())[0]) / 60) % 2047) + 1
    const stamp = age === undefined ? 0 : ((minute - 1 - age + 2047) % 2047) + 1
    const score = `${NOW + 60 * 24 * HOUR + stamp / 2048}`
    for (let at = 0; at < keys.length; at += 5000)
      await admin.call('ZADD', [index, ...keys.slice(at, at + 5000).flatMap((key) => [score, key])])
  }

  test(`${make.name}: an end of any kind, and a change of owner, takes its entry along`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    for (let round = 0; round < 20; round++) {
      const records = [1, 2, 3, 4, 5].map(() => newRecord(NOW, { owner: 'ada' }))
      for (const record of records) await store.create(record, NOW)
      const [deleted, expired, emptied, given, freed] = records
      if (!deleted || !expired || !emptied || !given || !freed) return t.fail()
      t.true(await store.delete(deleted.key))
      t.is(await store.replace(successor(expired, { expiresAt: NOW }), 1, NOW), 'done')
      t.is(await store.replace(successor(emptied, { payload: '', owner: undefined }), 1, NOW), 'done')
      t.is(await store.replace(successor(freed, { owner: undefined }), 1, NOW), 'done')
      t.is(await store.replace(successor(given, { owner: 'bob' }), 1, NOW), 'done')
      t.true(await store.delete(given.key))
    }

    t.deepEqual(await admin.keys(`${prefix}owner:*`), [])
  })

  test(`${make.name}: what an interrupted end left behind goes with a list once no create can be under way`, async (t) => {
    for (const verb of ['list', 'listKeys'] as const) {
      const prefix = freshPrefix()
      const store = new RedisStore(admin, { prefix })
      const look = () => store[verb]('ada', NOW, 100, undefined)
      const young = Array.from({ length: 3 }, newKey)
      const old = Array.from({ length: 3 }, newKey)
      const unknown = Array.from({ length: 3 }, newKey)
      await enlist(prefix, 'ada', young, 8)
      await enlist(prefix, 'ada', old, 12)
      await enlist(prefix, 'ada', unknown)
      const live = newRecord(NOW, { owner: 'ada' })
      await store.create(live, NOW)

      await look()
      const ages = await entriesOf(prefix)
      t.deepEqual([...ages.keys()].sort(), [...young, ...unknown, live.key].sort())
      // Those of version 0.1 have a stamp from now on.
      t.true(unknown.every((key) => (ages.get(key) ?? 99) <= 1))
      await look()
      t.is((await entriesOf(prefix)).size, 7)
    }
  })

  test(`${make.name}: an entry that was written again since it was looked at stays`, async (t) => {
    const prefix = freshPrefix()
    const record = newRecord(NOW, { owner: 'ada' })
    await enlist(prefix, 'ada', [record.key], 20)
    const store = new RedisStore(admin, { prefix })
    const cleaning = new RedisStore(
      around(admin, async (send, n) => {
        const answer = await send()
        // The list has looked for the record, and not found it.
        if (n === 2) t.true(await store.create(record, NOW))
        return answer
      }),
      { prefix },
    )

    t.deepEqual(await listed(cleaning, 'ada', NOW), [])

    t.deepEqual(await listed(store, 'ada', NOW), [record])
    t.is((await entriesOf(prefix)).get(record.key), 0)
  })

  test(`${make.name}: a create that waited for so long that its entry may be gone writes it once more`, async (t) => {
    const prefix = freshPrefix()
    const record = newRecord(NOW, { owner: 'ada' })
    const now = performance.now.bind(performance)
    t.teardown(() => (performance.now = now))
    const store = new RedisStore(
      around(admin, async (send, n) => {
        const answer = await send()
        if (n === 1) {
          performance.now = () => now() + 6 * MINUTE
          await admin.del(await admin.keys(`${prefix}owner:*`))
        }
        return answer
      }),
      { prefix },
    )
    await new RedisStore(admin, { prefix }).create(newRecord(NOW, { owner: 'bob' }), NOW)

    t.true(await store.create(record, NOW))

    performance.now = now
    t.deepEqual(await listed(new RedisStore(admin, { prefix }), 'ada', NOW), [record])
  })

  test(`${make.name}: a record that goes back to its owner while its entry is taken away stays listed`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    await store.create(record, NOW)
    let back = false
    const slow = new RedisStore(
      around(admin, async (send) => {
        const current = await admin.get(`${prefix}${record.key}`)
        if (!back && current?.startsWith('t2') === true) {
          back = true
          t.is(await store.replace(successor(record, { version: 3 }), 2, NOW), 'done')
        }
        return send()
      }),
      { prefix },
    )

    t.is(await slow.replace(successor(record, { owner: undefined }), 1, NOW), 'done')

    t.true(back)
    t.deepEqual(await listed(store, 'ada', NOW), [successor(record, { version: 3 })])
  })

  for (const verb of ['list', 'listKeys'] as const) {
    test(`${make.name}: ${verb} gives what ended after its entry was read, for it may name what goes on in its place`, async (t) => {
      const prefix = freshPrefix()
      const store = new RedisStore(admin, { prefix })
      const record = newRecord(NOW, { owner: 'ada' })
      const tombstone = successor(record, { payload: '', owner: undefined, meta: 'the key of the next' })
      await store.create(record, NOW)
      await store[verb]('ada', NOW, 100, undefined)
      const slow = new RedisStore(
        around(admin, async (send, n) => {
          // The index has been read, and the records not yet.
          if (n === 2) {
            t.true(await store.create(newRecord(NOW, { owner: 'ada' }), NOW))
            t.is(await store.replace(tombstone, 1, NOW), 'done')
          }
          return send()
        }),
        { prefix },
      )

      const page = await slow[verb]('ada', NOW, 100, undefined)

      if ('records' in page) t.deepEqual(page.records, [tombstone])
      else t.deepEqual(page.keys, [record.key])
      t.is((await listed(store, 'ada', NOW)).length, 1)
    })
  }

  test(`${make.name}: a process of version 0.1 and one of this version list the same, and neither hides a session`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const [old, fresh] = [newRecord(NOW, { owner: 'ada' }), newRecord(NOW, { owner: 'ada' })]
    await store.create(fresh, NOW)
    const [index = ''] = await admin.keys(`${prefix}owner:*`)
    // As version 0.1 writes an entry, and a record.
    await admin.zadd(index, 'GT', `${old.expiresAt + HOUR}`, old.key)
    const value = `t1\n${old.expiresAt.toString(36)}\n${NOW.toString(36)}\n${(old.expiresAt + HOUR).toString(36)}\nabcdefgh\n"ada"\n${NOW.toString(36)}\n\n${old.payload as string}`
    await admin.set(`${prefix}${old.key}`, value, 'PX', HOUR)
    await admin.zadd(index, 'GT', `${fresh.expiresAt + HOUR}`, fresh.key)

    t.deepEqual(new Set((await listed(store, 'ada', NOW)).map(({ key }) => key)), new Set([old.key, fresh.key]))
    // As version 0.1 lists.
    t.deepEqual(new Set(await admin.zrangebyscore(index, `(${NOW}`, '+inf')), new Set([old.key, fresh.key]))
    t.is(await store.replace(successor(old), 1, NOW), 'done')
    t.true(await store.touch(old.key, 2, NOW, NOW + 3 * HOUR, NOW))
    t.deepEqual((await listed(store, 'ada', NOW)).length, 2)
  })

  test(`${make.name}: scores only grow, also when the stamp begins anew`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    await store.create(record, NOW)
    const [index = ''] = await admin.keys(`${prefix}owner:*`)
    const high = Math.floor(Number(await admin.zscore(index, record.key))) + 2047 / 2048
    await admin.zadd(index, `${high}`, record.key)

    await store.touch(record.key, 1, NOW, record.expiresAt, NOW)

    t.true(Number(await admin.zscore(index, record.key)) >= high)
    t.is((await entriesOf(prefix)).get(record.key), 0)
  })

  for (const limit of [500]) {
    test(`${make.name}: 100,000 past logins keep nobody from being listed, in portions of ${limit}`, async (t) => {
      t.timeout(120_000)
      const prefix = freshPrefix()
      const store = new RedisStore(admin, { prefix })
      const record = newRecord(NOW, { owner: 'ada' })
      const past = Array.from({ length: 100_000 }, newKey)
      for (const age of [undefined, 15]) {
        await enlist(prefix, 'ada', past, age)
        await store.create(record, NOW)
        let longest = 0
        for (const verb of ['listKeys', 'list'] as const) {
          const started = performance.now()
          const found: string[] = []
          let cursor: string | undefined
          do {
            const began = performance.now()
            const page = await store[verb]('ada', NOW, limit, cursor)
            longest = Math.max(longest, performance.now() - began)
            found.push(...('keys' in page ? page.keys : page.records.map(({ key }) => key)))
            cursor = page.cursor
          } while (cursor !== undefined)
          t.deepEqual(found, [record.key])
          t.log(
            `${verb}, ${age === undefined ? 'of 0.1' : 'old'}: ${Math.round(performance.now() - started)} ms, longest portion ${longest.toFixed(1)} ms`,
          )
        }
        t.is((await entriesOf(prefix)).size, age === undefined ? 100_001 : 1)
        await admin.del(await admin.keys(`${prefix}*`))
      }
    })
  }
}
