import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import test from 'ava'
import Koa from 'koa'
import { bindSession, currentSession, session, tryCurrentSession } from '../../src/index.ts'
import { served } from '../support/app.ts'
import { mounted, type Session, type Things } from '../support/mounted.ts'
import { quick } from '../support/quick.ts'

test('the session of the request is found at any async depth', async (t) => {
  const found: unknown[] = []
  const look = (): void => void found.push(currentSession())
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        look()
        await Promise.resolve().then(look)
        await sleep(1)
        look()
        await new Promise<void>((resolve) =>
          setImmediate(() => {
            look()
            resolve()
          }),
        )
        process.nextTick(look)
        queueMicrotask(look)
        await sleep(1)
        t.is(found.length, 6)
        t.true(found.every((one) => one === session))
      },
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

test('requests that run side by side each find their own', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session, { query }) => {
        session.data.name = String(query['name'])
        await sleep(Math.random() * 5)
        return currentSession<Things>().data.name
      },
    },
  )
  const names = Array.from({ length: 30 }, (_, at) => `visitor ${at}`)
  const answers = await Promise.all(names.map((name) => app.browser().get(`/?name=${name}`)))

  t.deepEqual(
    answers.map(({ body }) => body),
    names,
  )
})

test("of 10,000 requests that interleave at random none ever sees another one's session", async (t) => {
  t.timeout(60_000)
  const app = quick()
  let looks = 0
  const wrong: number[] = []
  const pauses = [
    () => Promise.resolve(),
    () => new Promise((resolve) => setImmediate(resolve)),
    () => new Promise((resolve) => process.nextTick(resolve)),
    () => sleep(Math.random() * 3),
  ]

  await Promise.all(
    Array.from({ length: 10_000 }, async (_, at) =>
      app.ask(undefined, async (session) => {
        session.data['at'] = at
        for (let step = 0; step < 5; step++) {
          await pauses[(at * 7 + step * 3) % pauses.length]?.()
          looks++
          if (currentSession<{ at?: number }>().data.at !== at) wrong.push(at)
        }
      }),
    ),
  )

  t.is(looks, 50_000)
  t.deepEqual(wrong, [])
})

test('outside a request there is none: currentSession says what to do, tryCurrentSession gives undefined', (t) => {
  t.throws(() => currentSession(), {
    code: 'ERR_SESSION_NO_CONTEXT',
    message: /^currentSession\(\) was called outside a request: mount session\(\) before/,
  })
  t.throws(() => currentSession('admin'), {
    code: 'ERR_SESSION_NO_CONTEXT',
    message: /^currentSession\(\) found no session with stateKey "admin" here: /,
  })
  t.throws(() => bindSession(() => 1), {
    code: 'ERR_SESSION_NO_CONTEXT',
    message: /^bindSession\(\) was called outside a request/,
  })
  t.is(tryCurrentSession(), undefined)
  t.is(tryCurrentSession('admin'), undefined)
})

test('bindSession refuses what is no function as it is called, and not when the callback is', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': () => {
        for (const given of [undefined, null, 'text', {}])
          t.throws(() => bindSession(given as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
      },
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

test('before the middleware, and where it skips, there is none', async (t) => {
  const app = new Koa()
  app.use((_ctx, next) => {
    t.is(tryCurrentSession(), undefined)
    return next()
  })
  app.use(session({ skip: () => true }))
  app.use((ctx) => {
    t.false('session' in ctx.state)
    t.throws(() => currentSession(), { code: 'ERR_SESSION_NO_CONTEXT' })
    ctx.body = 'done'
  })
  const running = await served(t, app)

  t.is((await running.browser().get('/')).body, 'done')
})

test('of two middlewares the innermost is current, and each is found by its state key', async (t) => {
  const app = new Koa()
  app.use(session())
  app.use((_ctx, next) => {
    t.is(currentSession(), currentSession('session'))
    t.is(tryCurrentSession('admin'), undefined)
    return next()
  })
  app.use(session({ stateKey: 'admin', cookie: { name: 'admin' } }))
  app.use((ctx) => {
    const { session, admin } = ctx.state as unknown as Record<'session' | 'admin', Session>
    t.is(currentSession<Things>(), admin)
    t.is(currentSession<Things>('admin'), admin)
    t.is(currentSession<Things>('session'), session)
    t.not(session, admin)
    ctx.body = 'done'
  })
  const running = await served(t, app)

  t.is((await running.browser().get('/')).body, 'done')
  t.deepEqual(running.errors, [])
})

test('a bound function finds the session wherever it is called from, with its this, arguments and result', async (t) => {
  const bus = new EventEmitter()
  const heard: unknown[] = []
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        bus.once('said', function (this: EventEmitter) {
          heard.push(tryCurrentSession())
        })
        bus.once(
          'said',
          bindSession(function (this: EventEmitter, ...args: unknown[]) {
            heard.push(currentSession() === session, this === bus, args)
          }),
        )
        const add = bindSession((one: number, other: number) => one + other)
        t.is(add(1, 2), 3)
      },
    },
  )
  await app.browser().get('/')
  bus.emit('said', 'a', 1)

  t.deepEqual(heard, [undefined, true, true, ['a', 1]])
})

test('a bound function that throws throws, and one that promises promises', async (t) => {
  let bound: (() => Promise<unknown>) | undefined
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        t.throws(
          bindSession(() => {
            throw new Error('mine')
          }),
          { message: 'mine' },
        )
        bound = bindSession(async () => {
          await sleep(1)
          return currentSession<Things>() === session
        })
      },
    },
  )
  await app.browser().get('/')

  t.true(await bound?.())
})

test('a request that a handler makes to another app of the process has a session of its own', async (t) => {
  const inner = await mounted(t, {}, { '/': (session) => currentSession<Things>() === session })
  const outer = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const { body } = await inner.browser().get('/')
        return body === 'true' && currentSession<Things>() === session
      },
    },
  )

  t.is((await outer.browser().get('/')).body, 'true')
})

test('what is made inside a request shows no id, signature or data when it is printed', async (t) => {
  const kept: unknown[] = []
  let secret = ''
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        session.data.name = 'hunter2'
        secret = session.id
        kept.push(
          setTimeout(() => undefined, 1),
          Promise.resolve(),
          new Error('made inside'),
          setImmediate(() => undefined),
        )
      },
    },
  )
  await app.browser().get('/')

  for (const options of [
    {},
    { customInspect: false },
    { customInspect: false, showHidden: true, depth: Infinity },
    { showHidden: true, showProxy: true, depth: Infinity },
  ]) {
    const printed = inspect(kept, options)
    t.false(printed.includes('hunter2'))
    t.false(printed.includes(secret))
  }
  t.not(secret, '')
})
