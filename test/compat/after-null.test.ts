import { once } from 'node:events'
import { promisify } from 'node:util'
import test from 'ava'
import type { Context } from 'koa'
import { answering, bagOf, ecosystem, visitorOf } from '../support/ecosystem.ts'
import { Barrier } from '../support/faults.ts'
import { anew, handlers, more } from '../support/koa-session-paths.ts'

test('a failure of work that began before null takes the object after it along no further than it took it', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...handlers,
      '/anew': async (ctx) => {
        const barrier = new Barrier()
        const update = ctx.state.session.update(async (data: object) => {
          await barrier.pass()
          Object.assign(data, { big: 'x'.repeat(70_000) })
        })
        await barrier.arrived
        visitorOf(ctx).session = null
        visitorOf(ctx).session = { fresh: true } as never
        barrier.open()
        // It knew nothing of the object.
        await t.throwsAsync(update, { code: 'ERR_SESSION_TOO_LARGE' })
        return JSON.stringify(visitorOf(ctx).session)
      },
      '/anew-saved': async (ctx) => {
        app.store.next('replace', { kind: 'fail' })
        bagOf(ctx)['n'] = 7
        const saved = bagOf(ctx).save()
        visitorOf(ctx).session = null
        visitorOf(ctx).session = { fresh: true } as never
        await t.throwsAsync(saved, { code: 'ERR_SESSION_STORE' })
        return JSON.stringify(visitorOf(ctx).session)
      },
    }),
  )
  for (const path of ['/anew', '/anew-saved']) {
    const browser = app.browser()
    await browser.get('/count')
    const before = await browser.cookie()

    t.is((await browser.get(path)).body, '{"fresh":true}', path)
    t.is((await browser.get('/show')).body, '{"fresh":true}', path)
    t.is((await browser.send('/show', before)).body, '{}', path)
  }
})

test('null of a forwarded request whose end fails leaves the session as it was', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/forward': async (ctx) => {
        ctx.respond = false
        ctx.req.url = '/null'
        app.store.break('replace')
        await ctx.app.callback()(ctx.req, ctx.res)
        app.store.heal()
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/anew-sign-in')

  t.is((await browser.get('/forward')).status, 503)

  t.deepEqual(JSON.parse((await browser.get('/tell')).body), ['ada', { fresh: true }, 'session', []])
})

for (const [what, then] of [
  ['null', () => undefined],
  ['an object after null', (ctx: Context) => void (visitorOf(ctx).session = { fresh: true } as never)],
] as const)
  test(`a handler that answers by itself sends no lifetime with the id of a session that ends: ${what}`, async (t) => {
    const app = await ecosystem(
      t,
      {},
      answering({
        ...more,
        '/leave': (ctx) => {
          ctx.state.session.maxAge = '30d' // "remember me", set at the top for everybody
          visitorOf(ctx).session = null
          then(ctx)
          ctx.respond = false
          ctx.res.end('bye')
        },
      }),
    )
    const browser = app.browser()
    await browser.get('/count')

    t.deepEqual((await browser.get('/leave')).setCookie, [])
  })

test('after a request that failed with an object after null, save() does nothing and update() works', async (t) => {
  let late: { save(): Promise<void>; update(fn: (data: object) => unknown): Promise<unknown> } | undefined
  const app = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/fail': anew((ctx) => {
        late = ctx.state.session
        throw new Error('of the handler')
      }),
    }),
  )
  const browser = app.browser()
  await browser.get('/count')
  t.is((await browser.get('/fail')).status, 500)

  await t.notThrowsAsync(async () => late?.save())
  await late?.update((data) => Object.assign(data, { late: true }))
  t.is((await browser.get('/show')).body, '{"n":1,"late":true}')
})

test('objects after null in a chain and in one that it forwards to begin one session, with all that is pending', async (t) => {
  const now = Date.now()
  const { store, ...app } = await ecosystem(
    t,
    { now: () => now },
    answering({
      ...more,
      '/forward': anew(async (ctx) => {
        ctx.respond = false
        ctx.req.url = '/anew-with'
        await ctx.app.callback()(ctx.req, ctx.res)
      }),
    }),
  )
  const browser = app.browser()
  await browser.get('/count')
  store.counted()

  t.regex((await browser.get('/forward')).setCookie.join(), /Max-Age=60/i)
  t.deepEqual(store.counted(), { read: 1, create: 1, replace: 1 })
  t.deepEqual(JSON.parse((await browser.get('/tell')).body), [null, { fresh: true }, 60_000, ['hello']])
})

for (const [path, use] of [
  ['null', (ctx: Context) => void (visitorOf(ctx).session = null)],
  ['an object after null', anew(() => undefined)],
] as const)
  test(`${path} of a forwarded chain that failed is carried out by no other chain`, async (t) => {
    const { middleware, ...app } = await ecosystem(
      t,
      {},
      answering({
        ...more,
        '/fail': (ctx) => {
          use(ctx)
          throw new Error('of the inner handler')
        },
        '/forward': async (ctx) => {
          ctx.respond = false
          ctx.req.url = '/fail'
          await ctx.app.callback()(ctx.req, ctx.res)
          return new Promise(() => undefined) // koa-connect
        },
      }),
    )
    const browser = app.browser()
    await browser.get('/anew-sign-in')
    t.is((await browser.get('/forward')).status, 500)
    for (let tries = 0; tries < 20; tries++) await browser.get('/show')

    t.is((await middleware.list('ada')).length, 1)
  })

test('null while regenerate(callback) is under way ends the session', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/': async (ctx) => {
        const renewed = promisify((callback: (error: unknown) => void) => bagOf(ctx).regenerate(callback))()
        visitorOf(ctx).session = null
        await renewed
        return JSON.stringify(visitorOf(ctx).session)
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/count')
  const { body, setCookie } = await browser.get('/')

  t.is(body, 'null')
  t.regex(setCookie.join(), /^sid=; Max-Age=0;[^,]*$/)
})

test('a schema that calls update() while an object after null begins is refused as ever', async (t) => {
  const codes: unknown[] = []
  let use: (() => Promise<unknown>) | undefined
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: async (value: unknown) => {
        await use?.().catch((error: unknown) => codes.push((error as { code?: unknown }).code))
        return { value: value as Record<string, unknown> }
      },
    },
  }
  const app = await ecosystem(
    t,
    { schema },
    answering({
      ...more,
      '/anew': anew((ctx) => {
        const { session } = ctx.state
        use = () => session.update(() => undefined)
      }),
    }),
  )
  const browser = app.browser()
  await browser.get('/count')
  const { status } = await browser.get('/anew')
  use = undefined

  t.is(status, 200)
  t.deepEqual([...new Set(codes)], ['ERR_SESSION_IN_UPDATE'])
})

/** Ends the session and answers without Koa. */
function leave(ctx: Context): void {
  visitorOf(ctx).session = null
  ctx.respond = false
  ctx.res.end('bye')
}

for (const [what, before] of Object.entries<(ctx: Context) => unknown>({
  'maxAge was set': (ctx) => (ctx.state.session.maxAge = '30d'),
  'a message was put': (ctx) => ctx.state.session.flash('notice', 'bye'),
  'its id was read': (ctx) => ctx.state.session.id,
}))
  test(`a visitor whose session is made and ended in one request gets no cookie where the handler answers by itself: ${what}`, async (t) => {
    const { store, ...app } = await ecosystem(
      t,
      {},
      answering({
        '/leave': async (ctx) => {
          await before(ctx)
          leave(ctx)
        },
      }),
    )

    t.deepEqual((await app.browser().get('/leave')).setCookie, [])
    t.deepEqual(store.counted(), {})
  })

test('a handler that answers by itself sends no renewed cookie of a session that ends: rolling', async (t) => {
  let now = Date.now()
  const app = await ecosystem(
    t,
    { now: () => now, rolling: true, maxAge: '1h' },
    answering({ ...more, '/leave': (ctx) => leave(ctx) }),
  )
  const browser = app.browser()
  await browser.get('/count')
  now += 10 * 60_000

  t.deepEqual((await browser.get('/leave')).setCookie, [])
})

test('a handler that answers by itself sends no renewed cookie of a session that ends: a lifetime that was saved', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/leave': async (ctx) => {
        ctx.state.session.maxAge = '30d'
        await bagOf(ctx).save()
        leave(ctx)
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/count')

  t.deepEqual((await browser.get('/leave')).setCookie, [])
})

for (const [what, before] of Object.entries<(ctx: Context) => unknown>({
  'it was stored': async (ctx) => ctx.state.session.save(),
  'an account signed in': async (ctx) => ctx.state.session.signIn('alice'),
  'it got a new id': async (ctx) => ctx.state.session.regenerate(),
}))
  test(`a handler that answers by itself sends no cookie of a session that ends: ${what}`, async (t) => {
    const app = await ecosystem(
      t,
      {},
      answering({
        '/leave': async (ctx) => {
          await before(ctx)
          leave(ctx)
        },
      }),
    )
    const { setCookie } = await app.browser().get('/leave')

    t.deepEqual(setCookie, [])
  })

for (const [what, before] of Object.entries<(ctx: Context) => unknown>({
  'an account signed in': async (ctx) => ctx.state.session.signIn('bob'),
  'it got a new id': async (ctx) => ctx.state.session.regenerate(),
}))
  test(`an object after null that comes too late for its cookie leaves no session that nobody can end: ${what}`, async (t) => {
    const app = await ecosystem(
      t,
      {},
      answering({
        ...more,
        '/leave': async (ctx) => {
          await before(ctx)
          visitorOf(ctx).session = null
          visitorOf(ctx).session = { fresh: true } as never
          ctx.respond = false
          ctx.res.end('bye')
        },
      }),
    )
    const browser = app.browser()
    await browser.get('/count')
    const refused = once(app.app, 'error')
    t.deepEqual((await browser.get('/leave')).setCookie, [])

    t.like(await refused, [{ code: 'ERR_SESSION_HEADERS_SENT' }])
    const left: unknown[] = []
    for await (const { publicId } of app.middleware.scan()) left.push(publicId)
    t.deepEqual(left, [])
  })

for (const [what, before] of Object.entries<(ctx: Context) => unknown>({
  'the session that came': () => undefined,
  'an account signed in': async (ctx) => ctx.state.session.signIn('bob'),
  'it got a new id': async (ctx) => ctx.state.session.regenerate(),
}))
  test(`an object after null that cannot be stored may be replaced by one that can: ${what}`, async (t) => {
    const app = await ecosystem(
      t,
      {},
      answering({
        ...handlers,
        ...more,
        '/mend': async (ctx) => {
          await before(ctx)
          visitorOf(ctx).session = null
          visitorOf(ctx).session = { big: 'x'.repeat(70_000) } as never
          await t.throwsAsync(ctx.state.session.save(), { code: 'ERR_SESSION_TOO_LARGE' })
          visitorOf(ctx).session = { n: 41 } as never
        },
      }),
    )
    const browser = app.browser()
    await browser.get('/count')
    const answer = await browser.get('/mend')

    t.not(answer.status, 500)
    t.regex((await browser.get('/count')).body, /42/)
  })
