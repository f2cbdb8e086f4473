// Callbacks that handlers give to the session are waited for. What they ask for comes in the order in which it was asked for.
import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import koaPassport from 'koa-passport'
import { answering, bagOf, ecosystem, visitorOf } from '../support/ecosystem.ts'

for (const waits of [false, true])
  test(`null after a logout that nobody awaits is a logout, with a handler that ${waits ? 'goes on' : 'returns'}`, async (t) => {
    const passport = new koaPassport.KoaPassport()
    passport.serializeUser((user, done) => done(null, user.id))
    passport.deserializeUser((id, done) => done(null, { id }))
    const app = await ecosystem(
      t,
      { clearSiteData: ['storage'] },
      passport.initialize(),
      passport.session(),
      answering({
        '/login': (ctx) => visitorOf(ctx).login({ id: 'ada' }),
        '/logout': async (ctx) => {
          void visitorOf(ctx)
            .logout()
            .catch(() => undefined)
          visitorOf(ctx).session = null
          if (waits) for (let turns = 0; turns < 5; turns++) await turn()
        },
        // What the handler asks for after null is the session that begins.
        '/anew': (ctx) => {
          const session = ctx.state.session as unknown as { regenerate(callback: () => void): void }
          visitorOf(ctx).session = null
          session.regenerate(() => void (bagOf(ctx)['said'] = 'anew'))
        },
        '/show': (ctx) => JSON.stringify({ ...bagOf(ctx) }),
      }),
    )
    const browser = app.browser()
    await browser.get('/login')

    const answer = await browser.get('/logout')

    t.is(answer.headers.get('clear-site-data'), '"storage"')
    t.is(await browser.cookie(), '')

    await browser.get('/login')
    await browser.get('/anew')
    t.is((await browser.get('/show')).body, '{"said":"anew"}')
  })

for (const path of ['/fails', '/forward'])
  test(`what a handler that failed left pending is not stored by a callback of it that saves: ${path}`, async (t) => {
    const app = await ecosystem(
      t,
      {},
      answering({
        '/cart': (ctx) => void (bagOf(ctx)['cart'] = ['book']),
        '/fails': async (ctx) => {
          const barrier = app.store.pause('replace')
          bagOf(ctx)['first'] = 1
          bagOf(ctx).save(() => {
            bagOf(ctx)['second'] = 2
            bagOf(ctx).save(() => undefined)
          })
          await barrier.arrived
          bagOf(ctx)['order'] = 'half'
          setImmediate(() => barrier.open())
          throw new Error('fails')
        },
        '/forward': async (ctx) => {
          ctx.respond = false
          ctx.req.url = '/fails'
          await ctx.app.callback()(ctx.req, ctx.res)
        },
        '/show': (ctx) => JSON.stringify({ ...bagOf(ctx) }),
      }),
    )
    const browser = app.browser()
    await browser.get('/cart')

    t.is((await browser.get(path)).status, 500)

    t.is((await browser.get('/show')).body, '{"cart":["book"],"first":1,"second":2}')
  })
