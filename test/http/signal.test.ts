// session.signal: it aborts when the session ends, in whichever way, and leaves nothing behind.
import { mock } from 'node:test'
import type { SessionRecord, SessionStore } from '../../src/store.ts'
import test, { type ExecutionContext } from 'ava'
import { session, type SessionManager, type SessionMiddleware, type SessionOptions } from '../../src/index.ts'
import { Barrier, FaultyStore } from '../support/faults.ts'
import { mounted, type Handler, type Mounted, type Session, type Things } from '../support/mounted.ts'
import { PlainStore } from '../support/plain-store.ts'
import { turns } from '../support/stopped-clock.ts'
import { KEYS, type Browser } from '../support/app.ts'

/** Announces nothing. */
class SilentStore extends PlainStore {
  protected override announce(): void {
    // another process would have to read
  }
}

/** Announces when the test says so, and what it says. */
class ManualStore extends SilentStore {
  say(key: string | undefined): void {
    for (const listener of this.listeners) listener(key)
  }
}

interface Watching {
  readonly app: Mounted
  readonly browser: Browser
  readonly signal: AbortSignal
  readonly manager: Session
  /** Lets the watching request end. */
  readonly finish: () => Promise<void>
  readonly now: { value: number }
}

/** A request that watches its session and waits. */
async function watching(t: ExecutionContext, options: SessionOptions<Things> = {}): Promise<Watching> {
  const now = { value: 1_800_000_000_000 }
  const held = new Barrier()
  let manager: Session | undefined
  const app = await mounted(
    t,
    { sweepInterval: false, logger: {}, now: () => now.value, ...options },
    {
      '/begin': (own) => own.signIn('ada'),
      '/watch': async (own) => {
        manager = own
        t.false(own.signal.aborted)
        await held.pass()
      },
      '/end': (own) => own.destroy(),
      '/new-id': (own) => own.regenerate(),
      '/afresh': (own) => own.regenerate({ keep: false }),
      '/other': (own) => own.signIn('bob'),
      '/same': (own) => own.signIn('ada'),
      '/look': (own) => own.owner,
      '/shorter': (own) => (own.maxAge = '10m'),
    },
  )
  const browser = app.browser()
  await browser.get('/begin')
  const twin = await browser.twin()
  const watched = twin.get('/watch')
  await held.arrived
  if (manager === undefined) throw new Error('nobody watches')
  t.teardown(() => held.open())
  const finish = async (): Promise<void> => {
    held.open()
    await watched
  }
  return { app, browser, signal: manager.signal, manager, finish, now }
}

/** Another process over the same store, with the same clock. */
function another(t: ExecutionContext, store: SessionStore, { now }: Watching): SessionMiddleware<Things> {
  const middleware = session<Things>({ keys: [...KEYS], store, now: () => now.value })
  t.teardown(() => middleware.close())
  return middleware
}

/** Resolves when it aborts; rejects after so long: well before a store that announces is looked at again by itself. */
function aborted(signal: AbortSignal, limit = 60_000): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      resolve()
      return
    }
    const timer = setTimeout(() => reject(new Error('it did not abort')), limit)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** Waits for the signal to abort, and lets the watching request end. */
async function finishAborted(t: ExecutionContext, { signal, finish }: Watching): Promise<void> {
  await aborted(signal)
  t.true(signal.aborted)
  await finish()
}

/** The same where no clock has to be waited for: it was announced. */
async function finishAtOnce(t: ExecutionContext, { signal, finish }: Watching): Promise<void> {
  await turns()
  t.true(signal.aborted)
  await finish()
}

/** Lets the clock be looked at, as happens each second otherwise. Only for serial tests: timers are the process's. */
function ticking(t: ExecutionContext): () => Promise<void> {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  return async () => {
    mock.timers.tick(1000)
    await turns()
  }
}

const ends: Readonly<Record<string, (watching: Watching) => Promise<unknown>>> = {
  'a sign-out in another request': ({ browser }) => browser.get('/end'),
  'destroy from elsewhere': ({ app, manager }) => app.middleware.destroy(manager.publicId),
  destroyAll: ({ app }) => app.middleware.destroyAll('ada'),
  destroyEverything: ({ app }) => app.middleware.destroyEverything(),
  'a fresh start': ({ browser }) => browser.get('/afresh'),
  'a sign-in of somebody else': ({ browser }) => browser.get('/other'),
  'a deletion by hand': ({ app, manager }) => Promise.resolve(app.store.inner.delete(manager.publicId)),
}

for (const [what, end] of Object.entries(ends)) {
  test(`the signal aborts after ${what}`, async (t) => {
    const scene = await watching(t, { store: new PlainStore() })
    t.false(scene.signal.aborted)

    await end(scene)
    await aborted(scene.signal)

    t.is((scene.signal.reason as { code?: string }).code, 'ERR_SESSION_GONE')
    await scene.finish()
  })
}

test('the signal aborts when the limit of its owner ends it', async (t) => {
  const scene = await watching(t, { maxPerOwner: 1 })
  scene.now.value += 1000
  await scene.app.browser().get('/begin')
  await finishAtOnce(t, scene)
})

for (const what of ['/new-id', '/same'] as const) {
  // Where nothing is announced, only the process itself knows of the new id.
  for (const [announces, options] of [
    ['announces', () => ({})],
    ['announces nothing', () => ({ store: new SilentStore() })],
  ] as const) {
    test(`a new id is no end (${what}), and the end after it is one, where the store ${announces}`, async (t) => {
      const scene = await watching(t, options())
      await scene.browser.get(what)
      t.false(scene.signal.aborted)

      await scene.browser.get('/end')
      await finishAtOnce(t, scene)
    })
  }
}

test.serial(
  'the signal aborts when the session expires by the clock, not before, and a touch elsewhere moves that',
  async (t) => {
    const tick = ticking(t)
    const scene = await watching(t, { idleTimeout: '1h' })
    scene.now.value += 50 * 60_000
    await scene.browser.get('/look')
    scene.now.value += 20 * 60_000
    await tick()
    t.false(scene.signal.aborted)

    scene.now.value += 41 * 60_000
    await tick()
    await finishAtOnce(t, scene)
  },
)

test.serial('a parallel request gives the session a shorter life, and the signal aborts at its end', async (t) => {
  const tick = ticking(t)
  const scene = await watching(t, { idleTimeout: '1h' })
  await scene.browser.get('/shorter')
  scene.now.value += 9 * 60_000
  await tick()
  t.false(scene.signal.aborted)

  scene.now.value += 2 * 60_000
  await tick()
  await finishAtOnce(t, scene)
})

test.serial('the signal aborts at the absolute end, however active its user is', async (t) => {
  const tick = ticking(t)
  const scene = await watching(t, { idleTimeout: '1h', absoluteTimeout: '90m' })
  for (let turn = 0; turn < 2; turn++) {
    scene.now.value += 40 * 60_000
    await scene.browser.get('/look')
  }
  await tick()
  t.false(scene.signal.aborted)
  scene.now.value += 10 * 60_000
  await tick()
  await finishAtOnce(t, scene)
})

test('an end in another process reaches a store that announces nothing, within some seconds', async (t) => {
  const records = new Map<string, SessionRecord>()
  const polled = new SilentStore(records)
  Object.assign(polled, { subscribe: undefined })
  const scene = await watching(t, { store: polled })
  const elsewhere = another(t, new SilentStore(records), scene)

  t.true(await elsewhere.destroy(scene.manager.publicId))
  await finishAborted(t, scene)
})

test('a store that announces is read once for an end elsewhere, and not for those of others', async (t) => {
  const store = new PlainStore()
  const scene = await watching(t, { store })
  const elsewhere = another(t, store, scene)
  await scene.app.browser().get('/begin')
  scene.app.store.counted()

  for (const { publicId } of await elsewhere.list('ada')) {
    if (publicId !== scene.manager.publicId) await elsewhere.destroy(publicId)
  }
  await turns()
  t.deepEqual(scene.app.store.counted(), {})
  t.false(scene.signal.aborted)
  await elsewhere.destroy(scene.manager.publicId)
  await turns()
  t.true(scene.signal.aborted)

  t.deepEqual(scene.app.store.counted(), { read: 1 })
  await scene.finish()
})

test('an end right after a new id in another process is not missed while the new id is being read', async (t) => {
  const store = new PlainStore()
  const scene = await watching(t, { store })
  const handlers: Record<string, Handler> = { '/new-id': (own) => own.regenerate(), '/end': (own) => own.destroy() }
  const other = await mounted(t, { store, now: () => scene.now.value }, handlers)
  const elsewhere = Object.assign(other.browser(), { jar: scene.browser.jar })
  // The first read finds the new id, the second one its session.
  const first = scene.app.store.pause('read', 'after')
  const second = scene.app.store.pause('read', 'after')
  first.open()
  await elsewhere.get('/new-id')
  await second.arrived

  await elsewhere.get('/end')
  second.open()

  await finishAtOnce(t, scene)
})

test('an end elsewhere right after a new id here is not missed either', async (t) => {
  const store = new PlainStore()
  const scene = await watching(t, { store })
  const elsewhere = another(t, store, scene)
  // The request reads its session; its new id is announced before it knows that it is stored.
  const loading = scene.app.store.pause('read')
  const looking = scene.app.store.pause('read')
  const replacing = scene.app.store.pause('replace', 'after')
  loading.open()
  const renewed = scene.browser.get('/new-id')
  await Promise.all([looking.arrived, replacing.arrived])

  t.is(await elsewhere.destroyAll('ada'), 1)
  replacing.open()
  await renewed
  looking.open()

  await finishAtOnce(t, scene)
})

test('announcements that were lost are healed by one of undefined', async (t) => {
  const store = new ManualStore()
  const scene = await watching(t, { store })
  const elsewhere = another(t, store, scene)
  await elsewhere.destroy(scene.manager.publicId)
  await turns()
  t.false(scene.signal.aborted)

  store.say(undefined)
  await finishAtOnce(t, scene)
})

test('a look that fails is made again within some seconds, although the store announces', async (t) => {
  const store = new ManualStore()
  const scene = await watching(t, { store })
  const elsewhere = another(t, store, scene)
  await elsewhere.destroy(scene.manager.publicId)
  scene.app.store.counted()

  scene.app.store.break('read')
  store.say(undefined)
  t.deepEqual(scene.app.store.counted(), { read: 1 })
  t.false(scene.signal.aborted)
  scene.app.store.heal()

  await aborted(scene.signal, 30_000)
  t.true(scene.signal.aborted)
  t.deepEqual(scene.app.store.counted(), { read: 1 })
  await scene.finish()
})

test('an announcement alone aborts nothing, and neither does an outage', async (t) => {
  const store = new ManualStore()
  const scene = await watching(t, { store })
  store.say(scene.manager.publicId)
  store.say(undefined)
  scene.app.store.break('read')
  store.say(scene.manager.publicId)
  await turns()
  t.false(scene.signal.aborted)
  scene.app.store.heal()
  await scene.finish()
})

test('after the response nothing is watched, and no signal aborts', async (t) => {
  const scene = await watching(t, { store: new PlainStore() })
  await scene.finish()
  await new Promise((resolve) => setTimeout(resolve, 50))
  scene.app.store.counted()
  await scene.browser.get('/end')
  await new Promise((resolve) => setTimeout(resolve, 50))

  t.false(scene.signal.aborted)
  t.deepEqual(scene.app.store.counted(), { read: 1, replace: 1 })
})

test('a session that has ended has an aborted signal, and one that is not stored has none that aborts', async (t) => {
  const app = await mounted(
    t,
    { sweepInterval: false },
    {
      '/begin': ({ data }) => (data.n = 1),
      '/ended': async (own) => {
        await own.destroy()
        return own.signal.aborted
      },
      '/elsewhere': async (own) => {
        await app.middleware.destroy(own.publicId)
        return own.signal.aborted
      },
      '/new': (own) => own.signal.aborted,
    },
  )
  const browser = app.browser()
  t.is((await browser.get('/new')).body, 'false')
  for (const path of ['/ended', '/elsewhere']) {
    await browser.get('/begin')
    t.is((await browser.get(path)).body, 'true', path)
  }
})

test('a session that is stored after the first look at its signal is watched from then on', async (t) => {
  const held = new Barrier()
  let manager: SessionManager<Things> | undefined
  const app = await mounted(
    t,
    { sweepInterval: false },
    {
      '/': async (own) => {
        t.false(own.signal.aborted)
        own.data.n = 1
        await own.save()
        manager = own
        await held.pass()
      },
    },
  )
  const reply = app.browser().get('/')
  await held.arrived
  const { signal, publicId } = manager as unknown as SessionManager<Things>
  t.true(await app.middleware.destroy(publicId))
  await turns()
  t.true(signal.aborted)
  held.open()
  await reply
})

test('in run() the signal is watched until the connection closes', async (t) => {
  const store = new FaultyStore(new PlainStore())
  const middleware: SessionMiddleware<Things> = session<Things>({ keys: [...KEYS], store, sweepInterval: false })
  const { sessionCookie } = await import('../../src/testing.ts')
  const { IncomingMessage } = await import('node:http')
  const { Socket } = await import('node:net')
  const begin = async () => {
    const request = new IncomingMessage(new Socket())
    request.headers.cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
    return { request, signal: await middleware.run(request, (own) => own.signal) }
  }
  const [open, closed] = [await begin(), await begin()]
  closed.request.socket.destroy()
  await new Promise((resolve) => setImmediate(resolve))

  await middleware.destroyAll('ada')

  t.true(open.signal.aborted)
  t.false(closed.signal.aborted)
  await middleware.close()
})
