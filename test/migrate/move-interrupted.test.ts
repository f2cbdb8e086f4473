// moveSessions where a call fails, answers what no store may, or was interrupted before: nothing is lost, nothing that ended lives.
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, type SessionRecord, type SessionStore } from '../../src/index.ts'
import { moveSessions } from '../../src/migrate.ts'
import { newRecord, NOW } from '../support/records.ts'
import { WalkableStore } from '../support/walkable-store.ts'

const now = (): number => NOW

type Verb = 'create' | 'read' | 'replace' | 'delete'

/** Two stores, and one session in the first. */
async function places(): Promise<{ from: WalkableStore; to: WalkableStore; record: SessionRecord }> {
  const [from, to] = [new WalkableStore(new MemoryStore()), new WalkableStore(new MemoryStore())]
  const record = newRecord({ version: 3, owner: 'ada' })
  await from.create(record, NOW)
  return { from, to, record }
}

/** The next call of a verb is this one; it may go on with the store's own. */
function once(store: SessionStore, verb: Verb, call: (own: () => Promise<unknown>) => Promise<unknown>): void {
  const own = store[verb].bind(store) as (...args: unknown[]) => Promise<unknown>
  Object.assign(store, {
    [verb]: (...args: unknown[]) => {
      Reflect.deleteProperty(store, verb)
      return call(() => own(...args))
    },
  })
}

const failOnce = (store: SessionStore, verb: Verb): void =>
  once(store, verb, () => Promise.reject(new Error('ECONNRESET')))

/** As a store does whose answer is lost after the call has happened. */
const loseOnce = (store: SessionStore, verb: Verb): void =>
  once(store, verb, async (own) => {
    await own()
    throw new Error('ECONNRESET')
  })

const afterOnce = (store: SessionStore, verb: Verb, then: () => unknown): void =>
  once(store, verb, async (own) => {
    const answer = await own()
    await then()
    return answer
  })

const changed = (record: SessionRecord, payload: string): SessionRecord => ({
  ...record,
  version: record.version + 1,
  payload,
})

const end = (store: SessionStore, record: SessionRecord): unknown =>
  store.replace({ ...changed(record, ''), owner: undefined, expiresAt: NOW + 60_000 }, record.version, NOW)

async function live(store: SessionStore, { key }: SessionRecord): Promise<SessionRecord | undefined> {
  const held = await store.read(key, NOW)
  return held?.payload === '' ? undefined : held
}

const fails = (t: ExecutionContext, from: SessionStore, to: SessionStore) =>
  t.throwsAsync<Error & { cause?: unknown }>(moveSessions(from, to, { now }), { code: 'ERR_SESSION_STORE' })

for (const [name, fault] of Object.entries({ 'a call fails': failOnce, 'the answer of a call is lost': loseOnce }))
  for (const [place, verb] of [
    ['to', 'create'],
    ['from', 'replace'],
    ['from', 'delete'],
  ] as const)
    test(`${name}: ${verb} of ${place}. The session lives all the time, and a second call moves it`, async (t) => {
      const { from, to, record } = await places()
      fault(place === 'to' ? to : from, verb)

      await fails(t, from, to)
      t.truthy((await live(from, record)) ?? (await live(to, record)))
      await moveSessions(from, to, { now })

      t.like(await to.read(record.key, NOW), { version: 3, payload: record.payload, owner: 'ada' })
      t.is(await live(from, record), undefined)
    })

test('a session that changes meanwhile lives on as changed, whichever call fails then', async (t) => {
  for (const fault of [failOnce, loseOnce])
    for (const [place, verb] of [
      ['from', 'read'],
      ['to', 'replace'],
    ] as const) {
      const { from, to, record } = await places()
      afterOnce(to, 'create', async () => {
        await from.replace(changed(record, 'changed'), record.version, NOW)
        fault(place === 'from' ? from : to, verb)
      })

      await fails(t, from, to)
      t.is((await live(from, record))?.payload, 'changed')
      t.not((await live(to, record))?.payload, record.payload)

      t.is(await moveSessions(from, to, { now }), 1)
      t.is((await to.read(record.key, NOW))?.payload, 'changed')
    }
})

test('a session that is signed out of meanwhile ends in the second store, whichever call fails then', async (t) => {
  for (const fault of [failOnce, loseOnce])
    for (const [place, verb] of [
      ['from', 'read'],
      ['to', 'delete'],
    ] as const) {
      const { from, to, record } = await places()
      afterOnce(to, 'create', async () => {
        await end(from, record)
        fault(place === 'from' ? from : to, verb)
      })

      await fails(t, from, to)

      t.is(await live(to, record), undefined)
    }
})

test('what was copied before an interruption, and signed out of since, ends in the second store as well', async (t) => {
  const { from, to, record } = await places()
  loseOnce(to, 'create')
  await fails(t, from, to)
  t.truthy(await live(to, record))
  await end(from, record)

  t.is(await moveSessions(from, to, { now }), 0)
  t.is(await live(to, record), undefined)
})

test('what was copied before an interruption follows what happens to the session as it is met again', async (t) => {
  for (const happens of ['changes', 'ends'] as const) {
    const { from, to, record } = await places()
    await to.create(record, NOW)
    const next = changed(record, 'changed')
    afterOnce(to, 'read', () => (happens === 'changes' ? from.replace(next, record.version, NOW) : end(from, record)))

    t.is(await moveSessions(from, to, { now }), happens === 'changes' ? 1 : 0)
    t.is((await live(to, record))?.payload, happens === 'changes' ? 'changed' : undefined)
    t.is(await live(from, record), undefined)
  }
})

test('what was copied before an interruption, and used since, lives from the last use on, in whichever store that was', async (t) => {
  for (const last of ['from', 'to'] as const) {
    const { from, to, record } = await places()
    await to.create(record, NOW)
    const used = (store: SessionStore, seen: number): unknown =>
      store.touch(record.key, record.version, seen, seen + 1000, NOW)
    await used(from, NOW + 500)
    if (last === 'to') await used(to, NOW + 600)

    t.is(await moveSessions(from, to, { now }), 1)
    const lastSeenAt = last === 'to' ? NOW + 600 : NOW + 500
    t.like(await to.read(record.key, NOW), { version: 3, lastSeenAt, expiresAt: lastSeenAt + 1000 })
  }
})

test('a session that never ceases to change stays in the first store alone', async (t) => {
  const { from, to, record } = await places()
  const replace = from.replace.bind(from)
  let newest = record
  from.replace = async (next, version, at) => {
    const before = newest
    newest = changed(before, `${before.version}`)
    await replace(newest, before.version, at)
    return replace(next, version, at)
  }

  t.is(await moveSessions(from, to, { now }), 0)
  t.is((await live(from, record))?.payload, newest.payload)
  t.is(await to.read(record.key, NOW), undefined)

  from.replace = replace
  t.is(await moveSessions(from, to, { now }), 1)
})

test('two stores over the same data are refused, and nothing is lost', async (t) => {
  const data = new MemoryStore()
  const [from, to] = [new WalkableStore(data), new WalkableStore(data)]
  const records = Array.from({ length: 40 }, () => newRecord())
  for (const record of records) await from.create(record, NOW)

  const error = await t.throwsAsync(moveSessions(from, to, { now }), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_VALUE',
  })

  t.regex(error.message, /same data/)
  for (const record of records) t.is(data.read(record.key, NOW)?.payload, record.payload)
})

test('an answer that no store may give is a failure, and nothing is lost', async (t) => {
  const wrong: readonly [place: 'from' | 'to', verb: Verb | 'scan', answer: unknown][] = [
    ['from', 'scan', undefined],
    ['from', 'scan', null],
    ['from', 'scan', []],
    ['from', 'scan', { records: undefined, cursor: undefined }],
    ['from', 'scan', { records: [], cursor: 1 }],
    ['from', 'replace', undefined],
    ['from', 'replace', true],
    ['from', 'delete', undefined],
    ['to', 'create', undefined],
    ['to', 'create', 'OK'],
  ]
  for (const [place, verb, answer] of wrong) {
    const { from, to, record } = await places()
    Object.assign(place === 'from' ? from : to, { [verb]: () => Promise.resolve(answer) })

    const error = await fails(t, from, to)
    const { message = '' } = (error.cause ?? {}) as { message?: string }
    t.regex(message, /^it must answer /, `${verb} of ${place}`)

    if (verb !== 'delete') t.truthy(await live(from, record))
  }
})
