// koa-passport's README calls ctx.logout() without await.
import test, { type ExecutionContext } from 'ava'
import koaPassport from 'koa-passport'
import { answering, bagOf, ecosystem, visitorOf, type Ecosystem } from '../support/ecosystem.ts'

/** An app whose handlers do not wait, and what became of the promises that they got. */
async function site(t: ExecutionContext): Promise<Ecosystem & { readonly outcomes: Promise<string>[] }> {
  const passport = new koaPassport.KoaPassport()
  passport.serializeUser((user, done) => done(null, user.id))
  passport.deserializeUser((id, done) => done(null, { id }))
  const outcomes: Promise<string>[] = []
  // A rejection that nobody handles ends the process, so that the test must.
  const leave = (work: Promise<void>): void => {
    outcomes.push(
      work.then(
        () => 'done',
        (error: unknown) => String((error as { code?: unknown }).code),
      ),
    )
  }
  const app = await ecosystem(
    t,
    {},
    passport.initialize(),
    passport.session(),
    answering({
      '/login': (ctx) => leave(visitorOf(ctx).login({ id: 'ada' })),
      '/logout': (ctx) => {
        leave(visitorOf(ctx).logout())
        ctx.redirect('/')
      },
      '/logout-fails': (ctx) => {
        leave(visitorOf(ctx).logout())
        throw new Error(`${ctx.path} fails`)
      },
      '/callbacks': (ctx) =>
        bagOf(ctx).regenerate(() => {
          bagOf(ctx).save(() => {
            bagOf(ctx)['said'] = 'last'
            bagOf(ctx).save(() => void (bagOf(ctx)['said'] = 'very last'))
          })
        }),
      '/cart': (ctx) => void (bagOf(ctx)['cart'] = ['book']),
      '/me': (ctx) => (visitorOf(ctx).isAuthenticated() ? 'somebody' : 'nobody'),
      '/show': (ctx) => JSON.stringify({ ...bagOf(ctx) }),
    }),
  )
  return { ...app, outcomes }
}

test('a login and a logout of koa-passport that nobody awaits are carried out, with new ids', async (t) => {
  const { outcomes, ...app } = await site(t)
  const browser = app.browser()
  await browser.get('/cart')
  const visitors = await browser.cookie()

  await browser.get('/login')
  t.is((await browser.get('/me')).body, 'somebody')
  const users = await browser.cookie()
  await browser.get('/logout')

  t.is((await browser.get('/show')).body, '{}')
  t.deepEqual(await Promise.all(outcomes), ['done', 'done'])
  t.is(new Set([visitors, users, await browser.cookie()]).size, 3)
  t.is((await browser.send('/show', visitors)).body, '{}')
  t.is((await browser.send('/show', users)).body, '{}')
})

test('a logout that nobody awaits of a visitor without a session fails nothing', async (t) => {
  const { outcomes, ...app } = await site(t)

  t.is((await app.browser().get('/logout')).status, 302)

  t.deepEqual(await Promise.all(outcomes), ['done'])
})

test('a logout that nobody awaits holds where its handler fails', async (t) => {
  const { outcomes, ...app } = await site(t)
  const browser = app.browser()
  await browser.get('/login')
  const before = await browser.cookie()

  t.is((await browser.get('/logout-fails')).status, 500)

  t.deepEqual(await Promise.all(outcomes), ['done', 'done'])
  t.is((await browser.get('/show')).body, '{}')
  t.is((await browser.send('/show', before)).body, '{}')
})

test('what the callback of a callback writes is stored, without an end of the handler to wait for', async (t) => {
  const browser = (await site(t)).browser()
  await browser.get('/cart')

  await browser.get('/callbacks')

  t.is((await browser.get('/show')).body, '{"said":"very last"}')
})
