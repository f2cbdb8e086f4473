import { promisify } from 'node:util'
import test from 'ava'
import type { Context } from 'koa'
import { answering, bagOf, ecosystem, visitorOf } from '../support/ecosystem.ts'
import { anew, handlers, more } from '../support/koa-session-paths.ts'

test('data lives in ctx.session from request to request', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()

  t.is((await browser.get('/count')).body, '1')
  t.is((await browser.get('/count')).body, '2')
  t.is((await browser.get('/show')).body, '{"n":2}')
  await browser.get('/delete')
  t.is((await browser.get('/show')).body, '{}')
})

test('ctx.session and ctx.state.session show the same data', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => {
        bagOf(ctx)['a'] = 1
        // In this mode the manager is a bag of data, too.
        const manager = ctx.state.session as unknown as Record<string, unknown> & { data: object }
        manager.data = { ...manager.data, b: 2 }
        manager['c'] = 3
        return JSON.stringify([manager.data, bagOf(ctx), { ...manager }])
      },
    }),
  )

  t.deepEqual(
    JSON.parse((await app.browser().get('/')).body),
    Array.from({ length: 3 }, () => ({ a: 1, b: 2, c: 3 })),
  )
})

test('a change deep in ctx.session counts', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()

  t.is((await browser.get('/deep')).body, '1')
  t.is((await browser.get('/deep')).body, '2')
})

test('reading ctx.session, isNew, length and populated keeps nothing', async (t) => {
  const { store, ...app } = await ecosystem(t, {}, answering(handlers))

  t.is((await app.browser().get('/names')).body, '[[],{},false,true,0,false,true]')
  t.deepEqual(store.counted(), {})
})

test('only data is enumerable in ctx.session', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()
  await browser.get('/count')

  t.is((await browser.get('/names')).body, '[["n"],{"n":1},true,true,1,true,false]')
})

test('isNew is true until the session comes back', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()

  t.is((await browser.get('/isNew')).body, 'true')
  await browser.get('/count')
  t.is((await browser.get('/isNew')).body, 'false')
})

test('ctx.session = null ends the session and clears its cookie', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()
  await browser.get('/count')
  const old = await browser.cookie()

  const answer = await browser.get('/null')

  t.regex(answer.setCookie.join(), /^sid=;.*Max-Age=0/)
  t.is((await browser.send('/count', old)).body, '1')
})

test('after ctx.session = null it is null for the rest of the request', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => {
        visitorOf(ctx).session = null
        return JSON.stringify([visitorOf(ctx).session])
      },
    }),
  )

  t.is((await app.browser().get('/')).body, '[null]')
})

test('after destroy() ctx.session is null, and to assign null is nothing more', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...handlers,
      '/out': async (ctx) => {
        await ctx.state.session.destroy()
        const before = visitorOf(ctx).session
        visitorOf(ctx).session = null
        return JSON.stringify([before, visitorOf(ctx).session])
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/count')

  const { body, setCookie } = await browser.get('/out')

  t.is(body, '[null,null]')
  t.regex(setCookie.join(), /^sid=;.*Max-Age=0/)
  t.deepEqual(app.errors, [])
})

test('ctx.session = null of a visitor without a session sends no cookie', async (t) => {
  const { store, ...app } = await ecosystem(t, {}, answering(handlers))

  t.deepEqual((await app.browser().get('/null')).setCookie, [])
  t.deepEqual(store.counted(), {})
})

test('ctx.session = {...} replaces the data and keeps the id', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()
  await browser.get('/count')
  const before = await browser.cookie()
  await browser.get('/assign')

  t.is((await browser.get('/show')).body, '{"only":"this"}')
  t.is(await browser.cookie(), before)
})

test('an object after null is another session under another id', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()
  await browser.get('/count')
  const before = await browser.cookie()
  await browser.get('/null-then-assign')

  t.is((await browser.get('/show')).body, '{"fresh":true}')
  t.not(await browser.cookie(), before)
  t.is((await browser.send('/show', before)).body, '{}')
})

test('an object after null begins with all that is pending, and nothing of before, in one step', async (t) => {
  const now = Date.now()
  const { store, ...app } = await ecosystem(t, { now: () => now }, answering(more))
  const browser = app.browser()
  await browser.get('/put')
  const before = await browser.cookie()
  store.counted()

  t.regex((await browser.get('/anew-with')).setCookie.join(), /Max-Age=60/i)
  t.deepEqual(store.counted(), { read: 1, create: 1, replace: 1 })
  t.deepEqual(JSON.parse((await browser.get('/tell')).body), [null, { fresh: true }, 60_000, ['hello']])
  t.is((await browser.send('/show', before)).body, '{}')
})

test('a sign-in after an object after null is of the new session', async (t) => {
  const { middleware, ...app } = await ecosystem(t, {}, answering(more))
  const browser = app.browser()
  await browser.get('/count')
  await browser.get('/anew-sign-in')

  t.deepEqual(JSON.parse((await browser.get('/tell')).body), ['ada', { fresh: true }, 'session', []])
  t.is((await middleware.list('ada')).length, 1)
})

for (const [verb, call] of [
  ['ctx.session.save()', (ctx) => bagOf(ctx).save()],
  ['save(callback)', (ctx) => new Promise((resolve) => bagOf(ctx).save(resolve))],
  ['manuallyCommit()', (ctx) => bagOf(ctx).manuallyCommit()],
  ['session.save()', (ctx) => ctx.state.session.save()],
  ['session.update()', (ctx) => ctx.state.session.update(() => undefined)],
] as const satisfies readonly (readonly [string, (ctx: Context) => unknown])[])
  for (const fails of [false, true])
    test(`an object after null is not stored in the old session by ${verb}${fails ? ', though the request fails' : ''}`, async (t) => {
      const now = Date.now()
      const { middleware, ...app } = await ecosystem(
        t,
        { now: () => now },
        answering({
          ...more,
          '/anew': anew(async (ctx) => {
            bagOf(ctx).maxAge = 60_000
            ctx.state.session.flash('notice', 'hello')
            await call(ctx)
            if (fails) throw new Error('of the handler')
          }),
        }),
      )
      const browser = app.browser()
      await browser.get('/count')
      await browser.get('/anew-sign-in')
      const before = await browser.cookie()

      t.regex((await browser.get('/anew')).setCookie.join(), /Max-Age=60/i)
      t.deepEqual(await middleware.list('ada'), [])
      t.deepEqual(JSON.parse((await browser.get('/tell')).body), [null, { fresh: true }, 60_000, ['hello']])
      t.is((await browser.send('/show', before)).body, '{}')
    })

for (const [what, call] of [
  ['a save() that nobody awaits', (ctx) => void bagOf(ctx).save()],
  ['a save(callback) that nobody waits for', (ctx) => bagOf(ctx).save(() => undefined)],
  ['two at once', (ctx) => Promise.all([bagOf(ctx).save(), ctx.state.session.save()])],
  ['regenerate()', (ctx) => bagOf(ctx).regenerate()],
] as const satisfies readonly (readonly [string, (ctx: Context) => unknown])[])
  test(`an object after null keeps all that is pending with it: ${what}`, async (t) => {
    const now = Date.now()
    const { middleware, store, ...app } = await ecosystem(
      t,
      { now: () => now },
      answering({
        ...more,
        '/anew': anew((ctx) => {
          bagOf(ctx).maxAge = 60_000
          ctx.state.session.flash('notice', 'hello')
          return call(ctx)
        }),
      }),
    )
    const browser = app.browser()
    await browser.get('/anew-sign-in')
    store.counted()

    t.regex((await browser.get('/anew')).setCookie.join(), /Max-Age=60/i)
    t.deepEqual(store.counted(), { read: 1, create: 1, replace: 1 })
    t.deepEqual(await middleware.list('ada'), [])
    t.deepEqual(JSON.parse((await browser.get('/tell')).body), [null, { fresh: true }, 60_000, ['hello']])
  })

test('a save() that began before null stores nothing that was assigned after it', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/anew': async (ctx) => {
        bagOf(ctx)['n'] = 7
        const saved = bagOf(ctx).save()
        visitorOf(ctx).session = null
        visitorOf(ctx).session = { fresh: true } as never
        await saved
        throw new Error('of the handler')
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/count')

  t.is((await browser.get('/anew')).status, 500)
  t.is((await browser.get('/show')).body, '{"n":7}')
})

for (const [what, call] of [
  ['awaited', (ctx) => bagOf(ctx).save()],
  ['with a callback', (ctx) => new Promise((resolve) => bagOf(ctx).save(resolve))],
  [
    'not awaited',
    (ctx) =>
      void bagOf(ctx)
        .save()
        .catch(() => undefined),
  ],
  ['an update', (ctx) => ctx.state.session.update(() => undefined)],
  ['dropped by reload()', (ctx) => ctx.state.session.reload()],
] as const satisfies readonly (readonly [string, (ctx: Context) => unknown])[])
  test(`after null, an object that cannot be stored does not bring the old session back: ${what}`, async (t) => {
    const { middleware, ...app } = await ecosystem(
      t,
      { owner: ({ user }) => user as string | undefined },
      answering({
        ...more,
        '/sign-in': (ctx) => void (bagOf(ctx)['user'] = 'ada'),
        '/anew': anew(async (ctx) => {
          bagOf(ctx)['big'] = 'x'.repeat(70_000)
          try {
            await call(ctx)
          } catch {
            // The handler goes on without a session.
          }
          return JSON.stringify(visitorOf(ctx).session)
        }),
      }),
    )
    const browser = app.browser()
    await browser.get('/sign-in')
    const before = await browser.cookie()
    const { status, body, setCookie } = await browser.get('/anew')

    t.is(status, 200)
    if (what !== 'not awaited') t.is(body, 'null')
    t.regex(setCookie.join(), /^sid=; Max-Age=0;[^,]*$/)
    t.deepEqual(await middleware.list('ada'), [])
    t.is((await browser.send('/show', before)).body, '{}')
  })

test('an object after null that a save() of before takes along and cannot store does not bring the old session back', async (t) => {
  const app = await ecosystem(
    t,
    { owner: ({ user }) => user as string | undefined },
    answering({
      ...more,
      '/sign-in': (ctx) => void (bagOf(ctx)['user'] = 'ada'),
      '/anew': async (ctx) => {
        const writing = app.store.pause('replace')
        bagOf(ctx)['n'] = 1
        const saves = [bagOf(ctx).save(), bagOf(ctx).save()]
        visitorOf(ctx).session = null
        visitorOf(ctx).session = { big: 'x'.repeat(70_000) } as never
        writing.open()
        await Promise.allSettled(saves)
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/sign-in')

  t.regex((await browser.get('/anew')).setCookie.join(), /^sid=; Max-Age=0;[^,]*$/)
  t.deepEqual(await app.middleware.list('ada'), [])
})

test('an object after null that is dropped by a forwarded chain which fails does not bring the old session back', async (t) => {
  const app = await ecosystem(
    t,
    { owner: ({ user }) => user as string | undefined },
    answering({
      ...more,
      '/sign-in': (ctx) => void (bagOf(ctx)['user'] = 'ada'),
      '/anew': anew(async (ctx) => {
        const forwarded = app.middleware(ctx.app.createContext(ctx.req, ctx.res), () => {
          throw new Error('of the inner handler')
        })
        await t.throwsAsync(forwarded, { message: /inner/ })
      }),
    }),
  )
  const browser = app.browser()
  await browser.get('/sign-in')
  const { status, setCookie } = await browser.get('/anew')

  t.is(status, 200)
  t.regex(setCookie.join(), /^sid=; Max-Age=0;[^,]*$/)
  t.deepEqual(await app.middleware.list('ada'), [])
})

test('null after an object after null ends that session, though a save() is beginning it', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/anew': anew(async (ctx) => {
        const saving = bagOf(ctx).save()
        visitorOf(ctx).session = null
        await saving
        return JSON.stringify(visitorOf(ctx).session)
      }),
    }),
  )
  const browser = app.browser()
  await browser.get('/count')
  const { body, setCookie } = await browser.get('/anew')

  t.is(body, 'null')
  t.regex(setCookie.join(), /^sid=; Max-Age=0;[^,]*$/)
})

for (const fails of [false, true])
  test(`an object after null is not stored in the old session by a chain that the request is forwarded to${fails ? ', though it fails' : ''}`, async (t) => {
    const { middleware, ...app } = await ecosystem(
      t,
      {},
      answering({
        ...more,
        '/save': async (ctx) => {
          await bagOf(ctx).save()
          if (fails) throw new Error('of the handler')
          return String(ctx.state.session.owner)
        },
        '/forward': anew(async (ctx) => {
          ctx.respond = false
          ctx.req.url = '/save'
          await ctx.app.callback()(ctx.req, ctx.res)
        }),
      }),
    )
    const browser = app.browser()
    await browser.get('/anew-sign-in')
    const { body, setCookie } = await browser.get('/forward')

    t.is(body, fails ? 'Internal Server Error' : 'undefined')
    t.is(setCookie.length, 1)
    t.deepEqual(await middleware.list('ada'), [])
    t.deepEqual(JSON.parse((await browser.get('/tell')).body), [null, { fresh: true }, 'session', []])
  })

test('an object after null that cannot be stored leaves the session as it was', async (t) => {
  const browser = (await ecosystem(t, {}, answering(more))).browser()
  await browser.get('/count')
  const { status, setCookie } = await browser.get('/anew-big')

  t.deepEqual([status, setCookie], [500, []])
  t.is((await browser.get('/show')).body, '{"n":1}')
})

test('regenerate() refuses what is neither a callback nor options, a promise for example', async (t) => {
  const renew = (ctx: Context): unknown => bagOf(ctx).regenerate(Promise.resolve() as never)
  const app = await ecosystem(t, {}, answering({ '/renew': renew }))

  t.is((await app.browser().get('/renew')).status, 500)
  t.regex(String(app.errors[0]), /the options of session\.regenerate\(\) must be a plain object/)
})

test('ctx.session takes objects and null only', async (t) => {
  const app = await ecosystem(t, {}, answering(handlers))

  t.is((await app.browser().get('/object')).status, 500)
  t.regex(String(app.errors[0]), /ctx\.session must be an object/)
})

test("maxAge is 'session' until it is set, and then the cookie's", async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()

  const answer = await browser.get('/maxAge')

  t.is(answer.body, '["session",60000]')
  t.regex(answer.setCookie.join(), /Max-Age=60/i)
})

for (const [what, path] of [
  ['puts into the old session', '/count'],
  ['makes of the same keys', '/unput'],
] as const)
  test(`an object after null takes nothing that another request ${what} meanwhile`, async (t) => {
    for (const onConflict of ['merge', 'throw'] as const) {
      const app = await ecosystem(t, { onConflict }, answering(more))
      const browser = app.browser()
      await browser.get('/put')
      const before = await browser.cookie()
      const barrier = app.store.pause('create')
      const fresh = browser.get('/null-then-assign')
      await barrier.arrived
      await browser.send(path, before)
      barrier.open()
      t.is((await fresh).status, 200)

      t.is((await browser.get('/show')).body, '{"fresh":true}')
    }
  })

for (const [path, told] of [
  ['/anew-renewed', { fresh: true }],
  ['/null-renewed', {}],
] as const)
  test(`a new id after null signs nobody in again: ${path}`, async (t) => {
    const { middleware, ...app } = await ecosystem(t, {}, answering(more))
    const browser = app.browser()
    await browser.get('/anew-sign-in')
    await browser.get(path)

    t.deepEqual(JSON.parse((await browser.get('/tell')).body), [null, told, 'session', []])
    t.is((await middleware.list('ada')).length, 0)
  })

test('an object after null and then destroy() is an end', async (t) => {
  const browser = (await ecosystem(t, {}, answering(more))).browser()
  await browser.get('/count')

  t.is((await browser.get('/anew-destroyed')).status, 200)
  t.is((await browser.get('/show')).body, '{}')
})

/** Answers by itself after this, and never returns, as below koa-connect. */
const leaving =
  (use: (ctx: Context) => unknown) =>
  (ctx: Context): Promise<never> => {
    use(ctx)
    ctx.respond = false
    ctx.res.end('bye')
    return new Promise(() => undefined)
  }

test('ctx.session = null ends the session also where the chain never returns', async (t) => {
  const { middleware, ...app } = await ecosystem(
    t,
    {},
    answering({ ...more, '/leave': leaving((ctx) => void (visitorOf(ctx).session = null)) }),
  )
  const browser = app.browser()
  await browser.get('/anew-sign-in')
  await browser.get('/leave')

  // The next request may come while that is being done: it waits for nothing, so it is asked until it shows.
  for (let tries = 0; tries < 200 && (await middleware.list('ada')).length > 0; tries++) await browser.get('/show')
  t.deepEqual(await middleware.list('ada'), [])
  t.deepEqual(JSON.parse((await browser.get('/tell')).body), [null, {}, 'session', []])
  t.deepEqual(app.warnings, [])
})

test('an object after null is never stored in the old session where the chain never returns, but told of', async (t) => {
  const app = await ecosystem(t, {}, answering({ ...more, '/leave': leaving(anew(() => undefined)) }))
  const browser = app.browser()
  await browser.get('/count')
  await browser.get('/leave')

  for (let tries = 0; tries < 200 && app.warnings.length === 0; tries++) await browser.get('/show')
  t.is(app.warnings.length, 1)
  t.regex(app.warnings[0] ?? '', /could not be stored \(ERR_SESSION_HEADERS_SENT\)/)
  t.is((await browser.get('/show')).body, '{"n":1}')
})

test('ctx.session = null before a request is forwarded to a chain that never returns ends the session', async (t) => {
  const { middleware, ...app } = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/leave': leaving(() => undefined),
      '/forward': (ctx) => {
        visitorOf(ctx).session = null
        ctx.respond = false
        ctx.req.url = '/leave'
        void ctx.app.callback()(ctx.req, ctx.res)
        return new Promise(() => undefined)
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/anew-sign-in')
  await browser.get('/forward')

  for (let tries = 0; tries < 200 && (await middleware.list('ada')).length > 0; tries++) await browser.get('/show')
  t.deepEqual(await middleware.list('ada'), [])
})

for (const [path, told] of [
  ['/null', [null, {}]],
  ['/object', [null, { fresh: true }]],
] as const)
  test(`what a chain asked for after null holds for the chain that it forwards to, which answers: ${path}`, async (t) => {
    const forward = async (ctx: Context): Promise<void> => {
      ctx.respond = false
      ctx.req.url = '/show'
      await ctx.app.callback()(ctx.req, ctx.res)
    }
    const { middleware, ...app } = await ecosystem(
      t,
      {},
      answering({
        ...more,
        '/null': (ctx) => {
          visitorOf(ctx).session = null
          return forward(ctx)
        },
        '/object': anew(forward),
      }),
    )
    const browser = app.browser()
    await browser.get('/anew-sign-in')
    const before = await browser.cookie()
    const { setCookie } = await browser.get(path)

    t.is(setCookie.length, 1)
    t.deepEqual(await middleware.list('ada'), [])
    t.is((await browser.send('/show', before)).body, '{}')
    t.deepEqual(JSON.parse((await browser.get('/tell')).body), [...told, 'session', []])
    t.deepEqual(app.errors, [])
  })

test('an object after null of a forwarded request stands where the outer chain never returns', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...more,
      '/forward': async (ctx) => {
        ctx.respond = false
        ctx.req.url = '/null-then-assign'
        await ctx.app.callback()(ctx.req, ctx.res)
        bagOf(ctx)['n'] = 5
        return new Promise(() => undefined)
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/count')
  await browser.get('/forward')

  const kept = '{"fresh":true,"n":5}'
  for (let tries = 0; tries < 200 && (await browser.get('/show')).body !== kept; tries++);
  t.is((await browser.get('/show')).body, kept)
  t.deepEqual(app.warnings, [])
})

test('ctx.session put back where it was changes nothing', async (t) => {
  const { store, ...app } = await ecosystem(t, { maxAge: '1d' }, answering(more))
  const browser = app.browser()

  t.deepEqual((await browser.get('/put-back')).setCookie, [])
  await browser.get('/count')
  store.counted()
  t.deepEqual((await browser.get('/put-back')).setCookie, [])
  t.deepEqual(store.counted(), { read: 1 })
})

test('a maxAge that was set before a regenerate with a callback is of the new session', async (t) => {
  const now = Date.now()
  const app = await ecosystem(
    t,
    { now: () => now },
    answering({
      ...handlers,
      '/': async (ctx) => {
        bagOf(ctx).maxAge = 60_000
        await promisify((callback: (error: unknown) => void) => bagOf(ctx).regenerate(callback))()
        bagOf(ctx)['n'] = 1
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/count')

  t.regex((await browser.get('/')).setCookie.join(), /Max-Age=60/i)
  t.is((await browser.get('/maxAge')).body, '[60000,60000]')
})

test('null is no callback of regenerate', async (t) => {
  const app = await ecosystem(t, {}, answering({ ...handlers, '/': (ctx) => bagOf(ctx).regenerate(null as never) }))
  const browser = app.browser()
  await browser.get('/count')

  t.is((await browser.get('/')).status, 200)
  t.is((await browser.get('/show')).body, '{"n":1}')
})

test('the maxAge of the options is seen in ctx.session', async (t) => {
  const app = await ecosystem(t, { maxAge: '1h' }, answering(handlers))

  t.is((await app.browser().get('/maxAge')).body, '[3600000,60000]')
})

test('save resolves, and calls back, once the session is stored', async (t) => {
  const { store, ...app } = await ecosystem(t, {}, answering(handlers))
  const browser = app.browser()

  await browser.get('/save')
  t.deepEqual(store.counted(), { create: 1 })
  await browser.get('/save-callback')
  t.deepEqual(store.counted(), { read: 1, replace: 1 })
  t.is((await browser.get('/show')).body, '{"n":8}')
})

test('manuallyCommit stores what there is to store, and keeps nothing otherwise', async (t) => {
  const commit = (ctx: Context): Promise<void> => bagOf(ctx).manuallyCommit()
  const { store, ...app } = await ecosystem(
    t,
    {},
    answering({
      '/empty': commit,
      '/full': async (ctx) => {
        bagOf(ctx)['n'] = 1
        await commit(ctx)
        return JSON.stringify(store.counted())
      },
    }),
  )

  t.deepEqual((await app.browser().get('/empty')).setCookie, [])
  t.is((await app.browser().get('/full')).body, '{"create":1}')
})

test('an awaited regenerate keeps data and object under a new id', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()
  await browser.get('/count')
  const before = await browser.cookie()

  t.is((await browser.get('/regenerate')).body, '[true,{"n":1}]')
  t.not(await browser.cookie(), before)
  t.is((await browser.send('/show', before)).body, '{}')
})

test('regenerate with a callback gives an empty session under a new object, and leaves the old one readable', async (t) => {
  const browser = (await ecosystem(t, {}, answering(handlers))).browser()
  await browser.get('/count')
  const before = await browser.cookie()

  t.is((await browser.get('/regenerate-callback')).body, '[false,{"n":1},{}]')
  t.not(await browser.cookie(), before)
  t.is((await browser.get('/show')).body, '{}')
})

test('the old object of a regenerate with a callback says what it shows in JSON, length and populated, too', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': async (ctx) => {
        const bag = bagOf(ctx)
        bag['n'] = 1
        await promisify((callback: (error: unknown) => void) => bag.regenerate(callback))()
        return JSON.stringify([bag, bag.length, bag.populated])
      },
    }),
  )

  t.is((await app.browser().get('/')).body, '[{"n":1},1,true]')
})

test('a callback is told why a save failed', async (t) => {
  const { store, ...app } = await ecosystem(
    t,
    {},
    answering({
      '/': async (ctx) => {
        const bag = bagOf(ctx)
        bag['n'] = 1
        const told = await new Promise<unknown>((resolve) => bag.save(resolve))
        delete bag['n']
        return (told as { code?: string }).code
      },
    }),
  )
  store.next('create', { kind: 'fail' })

  t.is((await app.browser().get('/')).body, 'ERR_SESSION_STORE')
})

test('without koaSession a package that reads ctx.session is told of, once', async (t) => {
  const app = await ecosystem(t, { koaSession: false }, answering({ '/': (ctx) => typeof visitorOf(ctx).session }))

  t.is((await app.browser().get('/')).body, 'undefined')
  t.is((await app.browser().get('/')).body, 'undefined')
  t.is(app.warnings.length, 1)
  t.regex(app.warnings[0] ?? '', /koaSession: true/)
})

test('without koaSession ctx.session = null is told of, once, because it signs nobody out', async (t) => {
  const app = await ecosystem(
    t,
    { koaSession: false },
    answering({
      '/login': (ctx) => ctx.state.session.signIn('ada').then(() => 'in'),
      '/logout': (ctx) => {
        visitorOf(ctx).session = null
        return ctx.state.session.owner
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/login')

  t.is((await browser.get('/logout')).body, 'ada')
  t.is((await browser.get('/logout')).body, 'ada')
  t.is(app.warnings.length, 1)
  t.regex(app.warnings[0] ?? '', /ctx\.session was used.*koaSession: true/)
})

test('without koaSession an object that the app itself keeps in ctx.session causes no notice', async (t) => {
  const app = await ecosystem(
    t,
    { koaSession: false },
    answering({
      '/': (ctx) => {
        Object.assign(ctx, { session: { user: 'ada' } })
        return visitorOf(ctx).session?.['user']
      },
    }),
  )

  t.is((await app.browser().get('/')).body, 'ada')
  t.deepEqual(app.warnings, [])
})
