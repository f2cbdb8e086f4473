// koa-session takes `undefined` and `null` for a lifetime, as that of a cookie without one: apps end a "remember me" so, and log out.
import test from 'ava'
import { answering, bagOf, ecosystem } from '../support/ecosystem.ts'

for (const none of [undefined, null])
  test(`ctx.session.maxAge = ${none} goes back to the options, and fails no logout`, async (t) => {
    const app = await ecosystem(
      t,
      {},
      answering({
        '/login': (ctx) => {
          Object.assign(bagOf(ctx), { user: 'ada', maxAge: 60_000 })
        },
        '/logout': (ctx) => {
          Object.assign(bagOf(ctx), { user: undefined, maxAge: none })
        },
        '/show': (ctx) => JSON.stringify([bagOf(ctx)['user'] ?? 'nobody', bagOf(ctx).maxAge]),
      }),
    )
    const browser = app.browser()
    await browser.get('/login')
    t.is((await browser.get('/show')).body, '["ada",60000]')

    const { status, setCookie } = await browser.get('/logout')

    t.is(status, 200)
    t.notRegex(setCookie.join(), /max-age/i)
    t.is((await browser.get('/show')).body, '["nobody","session"]')
  })
