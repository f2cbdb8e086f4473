// An object after `ctx.session = null` begins another session. A sign-in after it is of that one: what was assigned goes along, or what
// it lists of that, and nothing of the session before.
import test from 'ava'
import type { Context } from 'koa'
import { answering, bagOf, ecosystem, visitorOf } from '../support/ecosystem.ts'

const paths = {
  '/begin': (ctx: Context) => {
    bagOf(ctx)['old'] = true
    bagOf(ctx).maxAge = 3_600_000
    ctx.state.session.flash('notice', 'of before')
  },
  '/ada': (ctx: Context) => ctx.state.session.signIn('ada'),
  '/switch': (ctx: Context) => {
    visitorOf(ctx).session = null
    visitorOf(ctx).session = { cart: 'book' } as never
    return ctx.state.session.signIn('bob')
  },
  '/tell': (ctx: Context) => {
    const { session } = ctx.state
    return JSON.stringify([session.owner, bagOf(ctx), bagOf(ctx).maxAge, session.flash('notice')])
  },
} as const

for (const [whose, before] of [
  ['nobody', []],
  ['another owner', ['/ada']],
] as const)
  test(`bob signs in after an object after null, in a session of ${whose}`, async (t) => {
    const app = await ecosystem(t, {}, answering(paths))
    const browser = app.browser()
    for (const path of ['/begin', ...before]) await browser.get(path)

    await browser.get('/switch')

    t.is((await browser.get('/tell')).body, JSON.stringify(['bob', { cart: 'book' }, 'session', []]))
    t.deepEqual(await app.middleware.list('ada'), [])
  })

test('an object after null goes along with a sign-in also where the session has ended meanwhile', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...paths,
      '/late': async (ctx) => {
        await app.middleware.destroyAll('ada')
        await paths['/switch'](ctx)
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/ada')

  t.is((await browser.get('/late')).status, 200)

  t.is((await browser.get('/tell')).body, JSON.stringify(['bob', { cart: 'book' }, 'session', []]))
})

test('a second sign-in in that request goes on with the session of the first', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      ...paths,
      '/twice': async (ctx) => {
        await paths['/switch'](ctx)
        ctx.state.session.flash('notice', 'hello')
        await ctx.state.session.save()
        await ctx.state.session.signIn('bob')
      },
    }),
  )
  const browser = app.browser()
  await browser.get('/begin')

  await browser.get('/twice')

  t.is((await browser.get('/tell')).body, JSON.stringify(['bob', { cart: 'book' }, 'session', ['hello']]))
})

for (const [keep, kept] of [
  [true, { cart: 'book', more: 1 }],
  [['cart', 'old'], { cart: 'book' }],
  [false, {}],
] as const)
  test(`a sign-in after an object after null takes nothing of the session before along, with keep ${String(keep)}`, async (t) => {
    const app = await ecosystem(
      t,
      {},
      answering({
        ...paths,
        '/keep': (ctx) => {
          visitorOf(ctx).session = null
          visitorOf(ctx).session = { cart: 'book', more: 1 } as never
          return ctx.state.session.signIn('bob', { keep: keep as boolean })
        },
      }),
    )
    const browser = app.browser()
    await browser.get('/begin')

    await browser.get('/keep')

    t.is((await browser.get('/tell')).body, JSON.stringify(['bob', kept, 'session', []]))
  })
