import { promisify } from 'node:util'
import test from 'ava'
import type Koa from 'koa'
import type { Context } from 'koa'
import { answering, bagOf, ecosystem, visitorOf, type Bag, type Handlers } from '../support/ecosystem.ts'

const handlers: Handlers = {
  '/count': (ctx) => String((bagOf(ctx)['n'] = Number(bagOf(ctx)['n'] ?? 0) + 1)),
  '/show': (ctx) => JSON.stringify(visitorOf(ctx).session),
  '/null': (ctx) => void (visitorOf(ctx).session = null),
  '/assign': (ctx) => void (visitorOf(ctx).session = { only: 'this' } as never),
  '/null-then-assign': (ctx) => {
    visitorOf(ctx).session = null
    visitorOf(ctx).session = { fresh: true } as never
  },
  '/names': (ctx) => {
    const bag = bagOf(ctx)
    return JSON.stringify([
      Object.keys(bag),
      { ...bag },
      'n' in bag,
      'save' in bag,
      bag.length,
      bag.populated,
      bag.isNew,
    ])
  },
  '/maxAge': (ctx) => {
    const before = bagOf(ctx).maxAge
    bagOf(ctx).maxAge = 60_000
    return JSON.stringify([before, bagOf(ctx).maxAge])
  },
  '/save': async (ctx) => {
    bagOf(ctx)['n'] = 7
    await bagOf(ctx).save()
  },
  '/save-callback': async (ctx) => {
    const bag = bagOf(ctx)
    bag['n'] = 8
    await promisify((callback: (error: unknown) => void) => bag.save(callback))()
  },
  '/regenerate': async (ctx) => {
    const bag = bagOf(ctx)
    await bag.regenerate()
    return JSON.stringify([bagOf(ctx) === bag, bagOf(ctx)])
  },
  '/regenerate-callback': async (ctx) => {
    const bag = bagOf(ctx)
    await promisify((callback: (error: unknown) => void) => bag.regenerate(callback))()
    return JSON.stringify([bagOf(ctx) === bag, { ...bag }, { ...bagOf(ctx) }])
  },
  '/deep': (ctx) => {
    const bag = bagOf(ctx)
    const list = (bag['list'] ??= []) as number[]
    list.push(1)
    return String(list.length)
  },
  '/delete': (ctx) => {
    delete bagOf(ctx)['n']
  },
  '/isNew': (ctx) => String(bagOf(ctx).isNew),
  '/object': (ctx) => void (visitorOf(ctx).session = 7 as never),
}

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
  const commit = (ctx: Context): Promise<void> => (bagOf(ctx)['manuallyCommit'] as () => Promise<void>)()
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

/** Runs a handler with the object that a callback's regenerate has replaced, and the new one. */
const replaced = (use: (old: Bag, fresh: Bag, ctx: Context) => unknown): Koa.Middleware =>
  answering({
    '/put': (ctx) => void Object.assign(bagOf(ctx), { user: { name: 'ada' }, list: [1], n: 1 }),
    '/show': (ctx) => JSON.stringify(bagOf(ctx)),
    '/': async (ctx) => {
      const old = bagOf(ctx)
      await promisify((callback: (error: unknown) => void) => old.regenerate(callback))()
      return JSON.stringify((await use(old, bagOf(ctx), ctx)) ?? null)
    },
  })

test('what is taken out of a replaced object may be changed and kept, by sloppy code as well', async (t) => {
  // As passport's dependencies do: no "use strict".
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the one way to sloppy code in a module
  const merge = new Function('a', 'b', 'for (var k in b) a[k] = b[k]; a.user.name = "bob"; a.list[0] = 2') as (
    a: Bag,
    b: Bag,
  ) => void
  const app = await ecosystem(
    t,
    {},
    replaced((old, fresh) => merge(fresh, old)),
  )
  const browser = app.browser()
  await browser.get('/put')
  await browser.get('/')

  t.is((await browser.get('/show')).body, '{"user":{"name":"bob"},"list":[2],"n":1}')
  t.deepEqual(app.warnings, [])
})

test('a replaced object shows the same copy each time, and what it showed', async (t) => {
  const app = await ecosystem(
    t,
    {},
    replaced((old, _fresh, ctx) => [old['user'] === old['user'], old, { ...old }, ctx.state.session.data]),
  )
  const browser = app.browser()
  await browser.get('/put')
  const shown = { user: { name: 'ada' }, list: [1], n: 1 }

  t.deepEqual(JSON.parse((await browser.get('/')).body), [true, shown, shown, {}])
})

test('writing to a replaced object is an error that names the new one, in sloppy code as well', async (t) => {
  const writes = [
    'old.n = 2',
    'delete old.n',
    'Object.defineProperty(old, "n", { value: 2 })',
    'Object.assign(old, { n: 2 })',
  ]
  const app = await ecosystem(
    t,
    {},
    replaced((old) =>
      writes.map((write) => {
        try {
          // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the one way to sloppy code in a module
          new Function('old', write)(old)
          return 'nothing'
        } catch (error) {
          return String(error)
        }
      }),
    ),
  )
  const browser = app.browser()
  await browser.get('/put')

  const thrown = JSON.parse((await browser.get('/')).body) as string[]
  for (const one of thrown) t.regex(one, /^TypeError.*replaced by regenerate\(callback\).*write to ctx\.session/)
  t.is((await browser.get('/show')).body, '{}')
})

test('a change deep in a replaced object that is kept nowhere is told of', async (t) => {
  const app = await ecosystem(
    t,
    {},
    replaced((old) => void ((old['user'] as { name: string }).name = 'bob')),
  )
  const browser = app.browser()
  await browser.get('/put')
  await browser.get('/')

  t.is(app.warnings.length, 1)
  t.regex(app.warnings[0] ?? '', /regenerate\(callback\) had replaced was written to.*not stored/)
})

test('what is kept anywhere in the new session, or only read, is not told of', async (t) => {
  const app = await ecosystem(
    t,
    {},
    replaced((old, fresh) => {
      const user = old['user'] as { name: string }
      user.name = 'bob'
      fresh['deep'] = { in: [user] }
      return old['list']
    }),
  )
  const browser = app.browser()
  await browser.get('/put')
  await browser.get('/')

  t.deepEqual(app.warnings, [])
})

test('a session cannot be frozen, and is not harmed by the attempt', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => {
        const told = [bagOf(ctx), ctx.state.session].map((one) => {
          try {
            return String(Object.freeze(one))
          } catch (error) {
            return String(error)
          }
        })
        bagOf(ctx)['n'] = 1
        return JSON.stringify([...told, bagOf(ctx)])
      },
    }),
  )

  const [one, two, bag] = JSON.parse((await app.browser().get('/')).body) as string[]
  for (const told of [one, two]) t.regex(told ?? '', /^TypeError.*cannot be frozen or sealed/)
  t.deepEqual(bag as unknown, { n: 1 })
})

test('with koaSession data is what JSON.stringify makes of it', async (t) => {
  class Row {
    id = 1
    cached = (): number => 2
  }
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => {
        Object.assign(bagOf(ctx), {
          at: new Date(0),
          user: new Row(),
          fn: () => 1,
          list: [undefined, NaN],
          m: new Map(),
        })
        return String((bagOf(ctx)['at'] as Date).getTime())
      },
      '/assign': (ctx) => void (visitorOf(ctx).session = new Row() as never),
      '/show': (ctx) => JSON.stringify(bagOf(ctx)),
      '/cycle': (ctx) => {
        const self: Bag = bagOf(ctx)
        self['deep'] = { self: [] as unknown[] }
        ;(self['deep'] as { self: unknown[] }).self.push(self['deep'])
      },
      '/big': (ctx) => void (bagOf(ctx)['big'] = 1n),
    }),
  )
  const browser = app.browser()

  t.is((await browser.get('/')).body, '0', 'as it was given, until the request is over')
  t.is((await browser.get('/show')).body, '{"at":"1970-01-01T00:00:00.000Z","user":{"id":1},"list":[null,null],"m":{}}')
  for (const path of ['/cycle', '/big']) t.is((await browser.get(path)).status, 500)
  t.like(app.errors.at(-1), { code: 'ERR_SESSION_VALUE' })
  await browser.get('/assign')
  t.is((await browser.get('/show')).body, '{"id":1}')
})

test('with koaSession writing the same value again is no change', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => void Object.assign(bagOf(ctx), { at: new Date(0), fn: () => 1, n: NaN, list: [undefined] }),
    }),
  )
  const browser = app.browser()
  await browser.get('/')
  app.store.counted()
  await browser.get('/')

  t.is(app.store.counted().replace, undefined)
})

test('with koaSession a codec of the app keeps its own rules', async (t) => {
  const app = await ecosystem(t, { codec: JSON }, answering({ '/': (ctx) => void (bagOf(ctx)['at'] = new Date(0)) }))

  t.is((await app.browser().get('/')).status, 500)
  t.like(app.errors[0], { code: 'ERR_SESSION_VALUE' })
})

for (const koaSession of [true, false]) {
  test(`with koaSession ${koaSession} assigning ctx.state.session is an error that says what to do`, async (t) => {
    const app = await ecosystem(
      t,
      { koaSession },
      answering({
        '/null': (ctx) => void (ctx.state.session = null as never),
        '/object': (ctx) => void (ctx.state.session = { a: 1 } as never),
        '/same': (ctx) => {
          Object.assign(ctx.state, { ...ctx.state })
          return Object.keys(ctx.state).join()
        },
      }),
    )
    const browser = app.browser()

    for (const path of ['/null', '/object']) t.is((await browser.get(path)).status, 500)
    for (const error of app.errors)
      t.regex(String(error), /^TypeError.*ctx\.state\.session cannot be assigned: session\.data = .*destroy\(\)/)
    t.is((await browser.get('/same')).body, 'session')
  })
}

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
