// What a callback's regenerate leaves behind, and what cannot be done to a session object.
import { promisify } from 'node:util'
import test from 'ava'
import type Koa from 'koa'
import type { Context } from 'koa'
import { answering, bagOf, ecosystem, type Bag } from '../support/ecosystem.ts'

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
          ;(new Function('old', write) as (old: Bag) => void)(old)
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

test('a session that is destroyed after a change deep in a replaced object is answered as any other', async (t) => {
  const app = await ecosystem(
    t,
    {},
    replaced((old, _fresh, ctx) => {
      ;(old['user'] as { name: string }).name = 'bob'
      return ctx.state.session.destroy()
    }),
  )
  const browser = app.browser()
  await browser.get('/put')
  const { status } = await browser.get('/')

  t.is(status, 200)
  t.is((await browser.get('/show')).body, '{}')
  t.deepEqual([app.warnings, app.errors], [[], []])
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
            return typeof Object.freeze(one)
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

/** Regenerates with another state in place of the first one. @returns what the callback was told, and what there is then. */
const withState = (stateOf: (ctx: Context) => unknown): Koa.Middleware =>
  answering({
    '/': async (ctx) => {
      ctx.state = stateOf(ctx) as Context['state']
      const told = await new Promise((resolve) => bagOf(ctx).regenerate(resolve))
      bagOf(ctx)['n'] = 1
      const state = ctx.state as { readonly session?: object } | null
      return JSON.stringify([told, Reflect.get(state?.session ?? {}, 'n') ?? null])
    },
    '/show': (ctx) => JSON.stringify(bagOf(ctx)),
  })

test('the new session object stands on the state that the app put in place of the first one', async (t) => {
  for (const stateOf of [(ctx: Context) => ({ ...ctx.state }), () => ({})]) {
    const app = await ecosystem(t, {}, withState(stateOf))

    t.deepEqual(JSON.parse((await app.browser().get('/')).body), [null, 1])
  }
})

test('regenerate succeeds where the state that the app put in place of the first one takes nothing', async (t) => {
  for (const stateOf of [() => Object.freeze({}), () => null]) {
    const app = await ecosystem(t, {}, withState(stateOf))
    const browser = app.browser()

    t.deepEqual(JSON.parse((await browser.get('/')).body), [null, null])
    t.is((await browser.get('/show')).body, '{"n":1}')
  }
})
