// moveSessions: every live session of one store in another, once, and none that ended.
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, type SessionRecord, type SessionStore } from '../../src/index.ts'
import { moveSessions, type MoveOptions } from '../../src/migrate.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { mounted } from '../support/mounted.ts'
import { newRecord, NOW } from '../support/records.ts'
import { drivers } from '../support/sqlite.ts'
import { WalkableStore } from '../support/walkable-store.ts'

const now = (): number => NOW

const kinds: Record<string, (t: ExecutionContext) => WalkableStore> = {
  memory: () => new WalkableStore(new MemoryStore()),
}
for (const driver of drivers)
  kinds[driver.name] = (t) => {
    const database = driver.open(':memory:')
    t.teardown(() => void database.close())
    return new WalkableStore(new SqliteStore(database))
  }

const memory = (): WalkableStore => new WalkableStore(new MemoryStore())

function plain(record: SessionRecord | undefined): object | undefined {
  if (record === undefined) return undefined
  const { payload, meta, ...rest } = record
  return { ...rest, meta, payload: typeof payload === 'string' ? payload : Buffer.from(payload).toString('hex') }
}

async function filled(store: SessionStore, count: number): Promise<SessionRecord[]> {
  const records = Array.from({ length: count }, (_, at) => newRecord({ version: at + 1, owner: `owner ${at % 3}` }))
  for (const record of records) await store.create(record, NOW)
  return records
}

/** Runs `then` once, after the next call of that verb. */
function after(store: WalkableStore, verb: 'create' | 'replace', then: () => unknown): void {
  const call = store[verb].bind(store) as (...args: unknown[]) => Promise<unknown>
  Object.assign(store, {
    [verb]: async (...args: unknown[]) => {
      Reflect.deleteProperty(store, verb)
      const answer = await call(...args)
      await then()
      return answer
    },
  })
}

const ended = (record: SessionRecord): SessionRecord => ({
  ...record,
  version: record.version + 1,
  payload: '',
  owner: undefined,
  expiresAt: NOW + 60_000,
})

for (const source of Object.keys(kinds))
  for (const target of Object.keys(kinds))
    test(`${source} to ${target}: all live sessions move as they are, and nothing else does`, async (t) => {
      const [from, to] = [kinds[source]?.(t) ?? memory(), kinds[target]?.(t) ?? memory()]
      const records = await filled(from, 450)
      const odd = newRecord({ payload: Buffer.from([0, 255, 128]), meta: '{"a":1}', version: 7 })
      const [tombstone, expired] = [newRecord({ payload: '', meta: '{"n":"x"}' }), newRecord({ expiresAt: NOW + 1 })]
      for (const record of [odd, tombstone, expired]) await from.create(record, NOW)
      const progress: number[] = []
      const later = NOW + 2

      t.is(await moveSessions(from, to, { now: () => later, onProgress: (moved) => progress.push(moved) }), 451)

      for (const record of [...records, odd]) {
        t.deepEqual(plain(await to.read(record.key, later)), plain({ meta: undefined, ...record }))
        t.is(await from.read(record.key, later), undefined)
      }
      t.is(await to.read(tombstone.key, later), undefined)
      t.is(await to.read(expired.key, NOW), undefined)
      t.deepEqual(
        progress,
        Array.from({ length: 451 }, (_, at) => at + 1),
      )
    })

for (const driver of drivers)
  test(`by the scan of MemoryStore and of SqliteStore over ${driver.name}, there and back`, async (t) => {
    const database = driver.open(':memory:')
    t.teardown(() => void database.close())
    const [memoryStore, sqlite] = [new MemoryStore(), new SqliteStore(database)]
    const records = await filled(memoryStore, 450)

    t.is(await moveSessions(memoryStore, sqlite, { now }), 450)
    t.is(await moveSessions(memoryStore, sqlite, { now }), 0)
    t.is(await moveSessions(sqlite, memoryStore, { now }), 450)
    for (const record of records) {
      t.deepEqual(plain(memoryStore.read(record.key, NOW)), plain({ meta: undefined, ...record }))
      t.is(await sqlite.read(record.key, NOW), undefined)
    }
  })

test('nothing is overwritten: a session that both stores hold in different states stays in both', async (t) => {
  const [from, to] = [memory(), memory()]
  const [one, other] = [newRecord({ version: 2 }), newRecord({ version: 3 })]
  await from.create(one, NOW)
  await from.create(other, NOW)
  await to.create({ ...one, payload: 'another' }, NOW)
  await to.create({ ...other, version: 2 }, NOW)

  t.is(await moveSessions(from, to, { now }), 0)
  for (const { key, payload, version } of [one, other]) t.like(await from.read(key, NOW), { payload, version })
  t.is((await to.read(one.key, NOW))?.payload, 'another')
  t.is((await to.read(other.key, NOW))?.version, 2)
})

test('after an interruption the rest is moved alone, and what both stores hold alike or newer leaves the first', async (t) => {
  const [from, to] = [memory(), memory()]
  const records = await filled(from, 60)
  let left = 20
  const replace = from.replace.bind(from)
  Object.assign(from, {
    replace: (...args: Parameters<typeof replace>) =>
      left-- > 0 ? replace(...args) : Promise.reject(new Error('connect ECONNREFUSED')),
  })
  const error = await t.throwsAsync<Error & { cause?: unknown }>(moveSessions(from, to, { now }), {
    code: 'ERR_SESSION_STORE',
  })
  t.like(error.cause, { message: 'connect ECONNREFUSED' })
  Reflect.deleteProperty(from, 'replace')
  const [used = newRecord()] = (await from.scan(NOW, 100, undefined)).records.filter(({ key }) => to.keys.has(key))
  t.is(await to.replace({ ...used, version: used.version + 1, payload: 'used since' }, used.version, NOW), 'done')

  t.is(await moveSessions(from, to, { now }), 40)
  for (const record of records) {
    t.is((await to.read(record.key, NOW))?.payload, record.key === used.key ? 'used since' : record.payload)
    t.is(await from.read(record.key, NOW), undefined)
  }
  t.is(await moveSessions(from, to, { now }), 0)
})

for (const [what, end] of Object.entries({
  'removed from': (store: SessionStore, { key }: SessionRecord) => store.delete(key),
  'ended in': (store: SessionStore, record: SessionRecord) => store.replace(ended(record), record.version, NOW),
})) {
  test(`a session that is ${what} the first store while it moves does not come back in the second`, async (t) => {
    const [from, to] = [memory(), memory()]
    const [record = newRecord()] = await filled(from, 1)
    after(to, 'create', () => end(from, record))

    t.is(await moveSessions(from, to, { now }), 0)
    t.is(await to.read(record.key, NOW), undefined)
  })

  test(`a session that is ${what} the second store while it changed in the first ends in both`, async (t) => {
    const [from, to] = [memory(), memory()]
    const [record = newRecord()] = await filled(from, 1)
    after(to, 'create', async () => {
      await from.replace({ ...record, version: record.version + 1, payload: 'changed' }, record.version, NOW)
      await end(to, record)
    })

    t.is(await moveSessions(from, to, { now }), 0)
    // Changed after its end, it stays unreadable in either.
    t.not((await to.read(record.key, NOW))?.payload, 'changed')
    t.is(await moveSessions(from, to, { now }), 0)
  })
}

test('a session that has ended in the second store ends in the first', async (t) => {
  const [from, to] = [memory(), memory()]
  const [record = newRecord()] = await filled(from, 1)
  await to.create(ended(record), NOW)

  t.is(await moveSessions(from, to, { now }), 0)
  t.is(await from.read(record.key, NOW), undefined)
})

test('a session that changes while it moves is moved as changed, and one that changes in both stays in both', async (t) => {
  const [from, to] = [memory(), memory()]
  const [record = newRecord()] = await filled(from, 1)
  const change = (store: SessionStore, payload: string) =>
    store.replace({ ...record, version: record.version + 1, payload }, record.version, NOW)
  after(to, 'create', () => change(from, 'changed'))

  t.is(await moveSessions(from, to, { now }), 1)
  t.is((await to.read(record.key, NOW))?.payload, 'changed')

  const [here, there] = [memory(), memory()]
  await here.create(record, NOW)
  after(there, 'create', async () => {
    await change(here, 'here')
    await change(there, 'there')
  })
  t.is(await moveSessions(here, there, { now }), 0)
  t.is((await here.read(record.key, NOW))?.payload, 'here')
  t.is((await there.read(record.key, NOW))?.payload, 'there')
})

test('a session that got a new id behind the scan is moved all the same', async (t) => {
  const [from, to] = [memory(), memory()]
  const [record = newRecord()] = await filled(from, 1)
  const successor = newRecord({ payload: 'goes on' })
  after(to, 'create', async () => {
    await from.create(successor, NOW)
    await from.replace(ended(record), record.version, NOW)
  })

  t.is(await moveSessions(from, to, { now }), 1)
  t.is((await to.read(successor.key, NOW))?.payload, 'goes on')
  t.is(await to.read(record.key, NOW), undefined)
})

test('at most sixteen sessions are under way at once', async (t) => {
  const [from, to] = [memory(), memory()]
  await filled(from, 300)
  from.most = 0
  await moveSessions(from, to, { now })

  t.true(to.most > 1 && to.most <= 16 && from.most <= 16)
})

test('over HTTP each cookie finds its session in the second store, encrypted as it was', async (t) => {
  const [from, to] = [memory(), memory()]
  const options = { keys: ['a secret of more than sixteen characters'], encryptionKeys: ['another of such a length'] }
  const handlers = {
    '/begin': async (session: { data: { n?: number }; signIn(owner: string): Promise<void> }) => {
      session.data.n = 1
      await session.signIn('ada')
    },
    '/show': ({ data, owner }: { data: object; owner: string | undefined }) => [owner, data],
  }
  const before = (await mounted(t, { ...options, store: from }, handlers)).browser()
  await before.get('/begin')
  t.is(await moveSessions(from, to), 1)
  const after = (await mounted(t, { ...options, store: to }, handlers)).browser()

  t.is((await after.send('/show', await before.cookie())).body, '["ada",{"n":1}]')
  t.is((await before.get('/show')).body, '[null,{}]')
})

test('a store without scan cannot be emptied', async (t) => {
  const error = await t.throwsAsync<Error & { status?: number }>(
    moveSessions(Object.assign(memory(), { scan: undefined }), memory()),
    { code: 'ERR_SESSION_UNSUPPORTED' },
  )
  t.is(error.status, 501)
})

test('a scan that does not go on is an error, and not a loop without end', async (t) => {
  const from = Object.assign(memory(), { scan: async () => Promise.resolve({ records: [], cursor: 'a' }) })

  await t.throwsAsync(moveSessions(from, memory()), { code: 'ERR_SESSION_STORE' })
})

test('a scan that goes in a circle is an error, and not a loop without end', async (t) => {
  let calls = 0
  const scan = async () => Promise.resolve({ records: [], cursor: ['a', 'b', 'c'][++calls % 3] })

  await t.throwsAsync(moveSessions(Object.assign(memory(), { scan }), memory()), { code: 'ERR_SESSION_STORE' })

  t.true(calls < 20, `${calls} portions of a circle of three`)
})

test('what onProgress throws ends the move', async (t) => {
  const [from, to] = [memory(), memory()]
  await filled(from, 30)
  const enough = new Error('enough')
  const onProgress = (moved: number): void => {
    if (moved === 5) throw enough
  }

  t.is(await t.throwsAsync(moveSessions(from, to, { now, onProgress })), enough)
  t.true((await from.scan(NOW, 100, undefined)).records.length > 0)
})

test('what an async onProgress rejects with ends the move, and it is waited for', async (t) => {
  const [from, to] = [memory(), memory()]
  await filled(from, 30)
  const enough = new Error('enough')
  const onProgress = async (moved: number): Promise<void> => {
    await Promise.resolve()
    if (moved === 5) throw enough
  }
  t.is(await t.throwsAsync(moveSessions(from, to, { now, onProgress })), enough)

  let told = 0
  const count = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    told++
  }
  t.is(await moveSessions(from, to, { now, onProgress: count }), told)
})

test('wrong arguments are refused', async (t) => {
  const store = memory()
  const type = { code: 'ERR_INVALID_ARG_TYPE' }
  for (const wrong of [undefined, null, 1, {}, { create: 1 }]) {
    await t.throwsAsync(moveSessions(wrong as unknown as SessionStore, store), type)
    await t.throwsAsync(moveSessions(store, wrong as unknown as SessionStore), type)
  }
  await t.throwsAsync(moveSessions(store, memory(), { onProgress: 1 } as unknown as MoveOptions), type)
  for (const wrong of [null, []])
    await t.throwsAsync(moveSessions(store, memory(), wrong as unknown as MoveOptions), type)
  await t.throwsAsync(moveSessions(store, memory(), { now: () => NaN }), type)
  const value = { code: 'ERR_INVALID_ARG_VALUE' }
  await t.throwsAsync(moveSessions(store, store), value)
  await t.throwsAsync(moveSessions(store, memory(), { progress: () => undefined } as MoveOptions), value)
})

test('a session that a portion of the scan gives twice is moved once, and not lost', async (t) => {
  const [source, target] = [new MemoryStore(), new MemoryStore()]
  const record = newRecord()
  source.create(record, NOW)
  let leave: () => void = () => undefined
  const hasLeft = new Promise<void>((resolve) => (leave = resolve))
  const from: SessionStore = {
    create: (one, now) => source.create(one, now),
    read: (key, now) => source.read(key, now),
    replace: (one, version, now) => {
      const answer = source.replace(one, version, now)
      if (answer === 'done') leave()
      return answer
    },
    touch: (key, version, seenAt, expiresAt, now) => source.touch(key, version, seenAt, expiresAt, now),
    delete: (key) => source.delete(key),
    scan: (now, limit, cursor) => {
      const page = source.scan(now, limit, cursor)
      return { ...page, records: page.records.flatMap((one) => [one, one]) }
    },
  }
  let isFirst = true
  const to: SessionStore = {
    create: async (one, now) => {
      const isSlow = isFirst
      isFirst = false
      const answer = target.create(one, now)
      // The answer to the first create is late: by then the second look has found the copy, and removed the session from `from`.
      if (isSlow) await Promise.race([hasLeft, new Promise((resolve) => setTimeout(resolve, 500))])
      return answer
    },
    read: (key, now) => target.read(key, now),
    replace: (one, version, now) => target.replace(one, version, now),
    touch: (key, version, seenAt, expiresAt, now) => target.touch(key, version, seenAt, expiresAt, now),
    delete: (key) => target.delete(key),
  }

  t.is(await moveSessions(from, to, { now: () => NOW }), 1)

  t.is(source.size, 0)
  t.is(target.read(record.key, NOW)?.payload, record.payload)
})
