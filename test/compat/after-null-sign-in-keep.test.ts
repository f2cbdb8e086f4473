// An object after `ctx.session = null` begins another session. A sign-in after it that keeps listed keys keeps those of that object.
import test from 'ava'
import { answering, bagOf, ecosystem, visitorOf } from '../support/ecosystem.ts'

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
        '/begin': (ctx) => {
          bagOf(ctx)['old'] = true
          bagOf(ctx).maxAge = 3_600_000
          ctx.state.session.flash('notice', 'of before')
        },
        '/switch': (ctx) => {
          visitorOf(ctx).session = null
          visitorOf(ctx).session = { cart: 'book', more: 1 } as never
          return ctx.state.session.signIn('bob', { keep: keep as boolean })
        },
        '/tell': (ctx) => {
          const { session } = ctx.state
          return JSON.stringify([session.owner, bagOf(ctx), bagOf(ctx).maxAge, session.flash('notice')])
        },
      }),
    )
    const browser = app.browser()
    await browser.get('/begin')

    await browser.get('/switch')

    t.is((await browser.get('/tell')).body, JSON.stringify(['bob', kept, 'session', []]))
  })
