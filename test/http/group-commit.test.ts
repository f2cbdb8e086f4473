// Changes that meet a write of their record under way are stored together: by count of calls, in order, each with its own fate.
import { AsyncLocalStorage } from 'node:async_hooks'
import ava, { type ExecutionContext } from 'ava'
import type { SessionOptions } from '../../src/index.ts'
import { MAX_WAIT } from '../../src/session/queues.ts'
import { Barrier, FaultyStore } from '../support/faults.ts'
import { PlainStore } from '../support/plain-store.ts'
import { cookieOf, quick, type Bag, type Quick, type Reply } from '../support/quick.ts'
import { soon, stopClock, turns } from '../support/stopped-clock.ts'

// One at a time: the clock that stands still is the process's.
const test = ava.serial

/** As a server is: it answers in a later turn. */
class RemoteStore extends FaultyStore {
  override async read(...args: Parameters<FaultyStore['read']>) {
    await new Promise((resolve) => setImmediate(resolve))
    return super.read(...args)
  }

  override async replace(...args: Parameters<FaultyStore['replace']>) {
    await new Promise((resolve) => setImmediate(resolve))
    return super.replace(...args)
  }
}

interface Crowd {
  readonly app: Quick
  readonly cookie: string
  /** Moves the clock, which stands still otherwise: no deadline passes, and nobody waits too long, because the machine is busy. */
  readonly pass: (milliseconds: number) => void
  /** So many requests that have all loaded, then change, then commit in order. */
  readonly together: <Result>(
    count: number,
    change: (data: Bag, at: number) => Result,
    meanwhile?: () => Promise<unknown>,
  ) => Promise<Reply<Result>[]>
}

async function crowd(t: ExecutionContext, options: SessionOptions<Bag> = {}): Promise<Crowd> {
  const pass = stopClock(t)
  const app = quick({ store: new RemoteStore(new PlainStore()), ...options })
  const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['begun'] = true)))
  return {
    app,
    cookie,
    pass,
    async together(count, change, meanwhile) {
      const barriers = Array.from({ length: count }, () => new Barrier())
      const requests = barriers.map((barrier, at) =>
        app.ask(cookie, async ({ data }) => {
          await barrier.pass()
          return change(data, at)
        }),
      )
      await Promise.all(barriers.map(({ arrived }) => arrived))
      await meanwhile?.()
      app.store.counted()
      for (const barrier of barriers) barrier.open()
      return Promise.all(requests)
    },
  }
}

const statuses = (t: ExecutionContext, replies: readonly Reply<unknown>[], status = 200): void => {
  t.deepEqual(new Set(replies.map((reply) => reply.status)), new Set([status]))
}

test('fifty changes that come at once are two writes and no read more', async (t) => {
  const { app, cookie, together } = await crowd(t)

  statuses(t, await together(50, (data, at) => (data[`key${at}`] = at)))

  t.deepEqual(app.store.counted(), { replace: 2 })
  const { result } = await app.ask(cookie, ({ data }) => Object.keys(data).length)
  t.is(result, 51)
})

test('of changes of one key stored together the later commit wins', async (t) => {
  const { app, cookie, together } = await crowd(t)

  statuses(t, await together(10, (data, at) => Object.assign(data, { same: at, [`own${at}`]: true })))

  const { result } = await app.ask(cookie, ({ data }) => ({ ...data }))
  t.is(result?.['same'], 9)
  t.is(Object.keys(result ?? {}).length, 12)
})

test('what a request stored together with a later change of the same key it does not store once more', async (t) => {
  const { app, cookie } = await crowd(t)
  const sets = (same: number, barrier: Barrier) =>
    app.ask(cookie, async (session) => {
      session.data['same'] = same
      await Promise.all([session.save(), barrier.pass()])
    })
  const [first, second] = [new Barrier(), new Barrier()]
  const stop = app.store.pause('replace')
  const slow = app.ask(cookie, ({ data }) => (data['own'] = true))
  await stop.arrived
  // Both meet that write.
  const earlier = sets(1, first)
  await first.arrived
  const later = sets(2, second)
  await second.arrived
  second.open()
  stop.open()
  await later
  first.open()

  statuses(t, await Promise.all([slow, earlier, later]))
  const { result } = await app.ask(cookie, ({ data }) => ({ ...data }))
  t.deepEqual(result, { begun: true, own: true, same: 2 })
})

test('one change that cannot be stored does not fail the others', async (t) => {
  const { app, cookie, together } = await crowd(t, { maxBytes: 500 })

  const replies = await together(6, (data, at) => (data[`key${at}`] = at === 3 ? 'x'.repeat(600) : at))

  t.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200, 500, 200, 200],
  )
  const { result } = await app.ask(cookie, ({ data }) => ({ ...data }))
  t.deepEqual(result, { begun: true, key0: 0, key1: 1, key2: 2, key4: 4, key5: 5 })
})

test('an owner that changes in the middle takes its own way, and nothing is lost or doubled', async (t) => {
  const { app, together } = await crowd(t, { owner: (data) => data['user'] as string | undefined })

  const replies = await together(5, (data, at) => {
    if (at === 2) data['user'] = 'ada'
    data[`key${at}`] = at
  })

  t.is(replies[2]?.status, 200)
  const cookies = replies.filter(({ setCookie }) => setCookie.length > 0)
  t.is(cookies.length, 1)
  const signedIn = cookieOf(cookies[0] as Reply<unknown>)
  const { result } = await app.ask(signedIn, ({ data, owner }) => ({ ...data, owner }))
  t.like(result, { owner: 'ada', user: 'ada', key2: 2 })
  // What was refused said so; what was answered with 200 is stored.
  for (const [at, { status }] of replies.entries()) {
    if (status === 200) t.is((result as Bag)[`key${at}`], at)
    else t.is(status, 409)
  }
})

test('a poll that is stored together with a use renews no rolling cookie', async (t) => {
  let now = Date.now()
  let asked = 0
  const { app, together } = await crowd(t, {
    maxAge: '1h',
    rolling: true,
    now: () => now,
    // The first request begins the session, and the last one is a use.
    passive: () => asked++ < 3,
  })
  now += 1_800_000

  const replies = await together(3, (data, at) => (data[`key${at}`] = at))

  t.deepEqual(app.store.counted(), { replace: 2 })
  t.deepEqual(
    replies.map(({ status, setCookie }) => [status, setCookie.length]),
    [
      [200, 0],
      [200, 0],
      [200, 1],
    ],
  )
})

test('slow polls of a group read its instants once, and are stored together', async (t) => {
  let now = Date.now()
  let asked = 0
  const { app, together } = await crowd(t, { now: () => now, passive: () => asked++ > 0 })

  const replies = await together(
    10,
    (data, at) => (data[`key${at}`] = at),
    () => Promise.resolve((now += 1001)),
  )

  statuses(t, replies)
  const { read = 0, replace = 0 } = app.store.counted()
  t.true(read <= 3 && replace <= 3, `${read} reads, ${replace} replaces`)
})

test('another process between: the group reads once, and all survive', async (t) => {
  const { app, cookie, together } = await crowd(t)
  const elsewhere = quick({ store: app.store.inner })

  const replies = await together(
    20,
    (data, at) => (data[`key${at}`] = at),
    () => elsewhere.ask(cookie, ({ data }) => (data['other'] = true)),
  )

  statuses(t, replies)
  const { read = 0, replace = 0 } = app.store.counted()
  t.true(read <= 3 && replace <= 5, `${read} reads, ${replace} replaces`)
  const { result } = await app.ask(cookie, ({ data }) => Object.keys(data).length)
  t.is(result, 22)
})

test("with onConflict 'throw' those that change one key are refused but one, and others merge", async (t) => {
  const { app, cookie, together } = await crowd(t, { onConflict: 'throw' })

  const replies = await together(6, (data, at) => (data[at % 2 === 0 ? 'same' : `own${at}`] = at))

  t.deepEqual(replies.map(({ status }) => status).sort(), [200, 200, 200, 200, 409, 409])
  const { result } = await app.ask(cookie, ({ data }) => Object.keys(data).sort())
  t.deepEqual(result, ['begun', 'own1', 'own3', 'own5', 'same'])
})

test('a write that is slow is not waited for', async (t) => {
  const { app, cookie, pass } = await crowd(t)
  const loaded = new Barrier()
  const second = app.ask(cookie, async ({ data }) => {
    await loaded.pass()
    data['b'] = 2
  })
  await loaded.arrived
  const stop = app.store.pause('replace')
  const first = app.ask(cookie, ({ data }) => (data['a'] = 1))
  await stop.arrived
  loaded.open()
  await turns()
  pass(MAX_WAIT)

  // Answered while the first write is still held up.
  t.is(await soon(second.then(({ status }) => status)), 200)
  stop.open()
  t.is((await first).status, 200)
  const { result } = await app.ask(cookie, ({ data }) => ({ ...data }))
  t.deepEqual(result, { begun: true, a: 1, b: 2 })
})

test('a write that hangs for ever fails alone, at its deadline', async (t) => {
  const { app, cookie, together, pass } = await crowd(t, { storeTimeout: 1000 })
  app.store.next('replace', { kind: 'hang' })

  const answering = together(5, (data, at) => (data[`key${at}`] = at))
  await turns()
  pass(MAX_WAIT)
  await turns()
  pass(1000)
  const replies = await answering

  t.deepEqual(
    replies.map(({ status }) => status),
    [503, 200, 200, 200, 200],
  )
  const { result } = await app.ask(cookie, ({ data }) => Object.keys(data).length)
  t.is(result, 5)
})

test('a common write that may have happened is refused to all that met it, and not made again', async (t) => {
  const { app, cookie, together } = await crowd(t)
  app.store.pause('replace').open()
  app.store.next('replace', { kind: 'fail-after' })

  const replies = await together(5, (data, at) => (data[`key${at}`] = at))

  t.deepEqual(
    replies.map(({ status }) => status),
    [200, 503, 503, 503, 503],
  )
  t.is(app.store.counted().replace, 2)
  const { result } = await app.ask(cookie, ({ data }) => Object.keys(data).length)
  t.is(result, 6)
})

test('a session that ends elsewhere refuses all changes of a group', async (t) => {
  const { app, cookie, together } = await crowd(t)

  const replies = await together(
    10,
    (data, at) => (data[`key${at}`] = at),
    () => app.ask(cookie, (session) => session.destroy()),
  )

  statuses(t, replies, 409)
  t.is((await app.ask(cookie, ({ origin }) => origin)).result, 'expired')
})

test('each change of a group is told as committed, with its own merges and conflicts', async (t) => {
  const { hear } = await import('../support/mounted.ts')
  const { together } = await crowd(t)
  const heard = hear(t, 'commit', 'merge', 'conflict')

  statuses(t, await together(3, (data, at) => Object.assign(data, { same: at, [`own${at}`]: 1 })))

  t.is(heard.filter(([name]) => name === 'commit').length, 3)
  const merged = heard.filter(([name]) => name === 'merge').map(([, { keys }]) => [...(keys ?? [])].sort())
  t.deepEqual(merged, [
    ['own0', 'same'],
    ['own0', 'own1', 'same'],
  ])
  const conflicts = heard.filter(([name]) => name === 'conflict').map(([, { keys }]) => keys)
  t.deepEqual(conflicts, [['same'], ['same']])
})

/** A request whose change is being written, then others that meet that write; each in an async context of its own. */
async function meeting(
  t: ExecutionContext,
  options: SessionOptions<Bag>,
  changes: Readonly<Record<string, (data: Bag) => unknown>>,
) {
  const context = new AsyncLocalStorage<string>()
  const said: string[] = []
  const say = (line: string): void => {
    const [, event = line] = /^koa-fastsession: ([\w-]+)/.exec(line) ?? []
    if (event !== 'resume' && context.getStore() !== undefined) said.push(`${event} in ${context.getStore()}`)
  }
  class TellingStore extends PlainStore {
    override replace(...args: Parameters<PlainStore['replace']>) {
      say('replace')
      return super.replace(...args)
    }
  }
  const { owner } = options
  const { app, cookie } = await crowd(t, {
    ...options,
    store: new TellingStore(),
    logger: { debug: say, info: say, warn: say },
    owner: (data) => {
      say(`owner of ${Object.keys(data).at(-1)}`)
      return owner?.(data)
    },
  })
  return {
    app,
    said,
    run: async () => {
      const ask = (name: string, change: (data: Bag) => unknown, loaded: Barrier, saved: Barrier) =>
        context.run(name, () =>
          app.ask(cookie, async (session) => {
            await loaded.pass()
            change(session.data)
            await Promise.all([session.save(), saved.pass()])
          }),
        )
      const others = Object.entries(changes).map(([name, change]) => {
        const [loaded, saved] = [new Barrier(), new Barrier()]
        return { loaded, saved, reply: ask(name, change, loaded, saved) }
      })
      await Promise.all(others.map(({ loaded }) => loaded.arrived))
      const stop = app.store.pause('replace')
      const [loaded, saved] = [new Barrier(), new Barrier()]
      const first = ask('first', (data) => (data['first'] = true), loaded, saved)
      for (const barrier of [loaded, saved]) barrier.open()
      await stop.arrived
      // From here to the write of the group nothing takes a turn of the event loop: no timer can come between.
      for (const other of others) {
        other.loaded.open()
        await other.saved.arrived
        other.saved.open()
      }
      stop.open()
      return Promise.all([first, ...others.map(({ reply }) => reply)])
    },
  }
}

test('each change of a group asks for its owner and is told in the async context of its own request', async (t) => {
  const { said, run } = await meeting(
    t,
    {},
    { second: (data) => (data['second'] = true), third: (data) => (data['third'] = true) },
  )

  statuses(t, await run())
  t.deepEqual(said, [
    'owner of first in first',
    'replace in first',
    'commit in first',
    'owner of second in second',
    'owner of third in third',
    // One write for both, which is one request's.
    'replace in second',
    'merge in second',
    'commit in second',
    'merge in third',
    'commit in third',
  ])
})

test('a sign-in that met a write is told, with what its limit ends, in the async context of its own request', async (t) => {
  const { app, said, run } = await meeting(
    t,
    { maxPerOwner: 1, owner: (data) => data['user'] as string | undefined },
    { second: (data) => (data['user'] = 'ada') },
  )
  const other = cookieOf(await app.ask(undefined, ({ data }) => (data['user'] = 'ada')))

  statuses(t, await run())
  t.is((await app.ask(other, ({ owner }) => owner)).result, undefined)
  t.deepEqual(said, [
    'owner of first in first',
    'replace in first',
    'commit in first',
    'owner of user in second',
    'replace in second',
    'regenerate in second',
    'merge in second',
    'commit in second',
    'sign-in in second',
    'replace in second',
    'destroy in second',
  ])
})

test('polls over a store whose reads take longer than a second read its instants once', async (t) => {
  let now = Date.now()
  let asked = 0
  let slow = 0
  class SlowStore extends RemoteStore {
    override async read(...args: Parameters<FaultyStore['read']>) {
      if (slow-- > 0) now += 1001
      return super.read(...args)
    }
  }
  const { app, together } = await crowd(t, {
    store: new SlowStore(new PlainStore()),
    now: () => now,
    passive: () => asked++ > 0,
  })

  const replies = await together(
    10,
    (data, at) => (data[`key${at}`] = at),
    () => Promise.resolve(((slow = 20), (now += 1001))),
  )

  statuses(t, replies)
  const { read = 0, replace = 0 } = app.store.counted()
  t.true(read <= 3 && replace <= 3, `${read} reads, ${replace} replaces`)
})
