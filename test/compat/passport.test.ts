import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import test from 'ava'
import bodyParser from 'koa-bodyparser'
import Koa, { type Context } from 'koa'
import koaPassport, { type Passport } from 'koa-passport'
import koaFramework from 'koa-passport/lib/framework/koa.js'
import passport from 'passport'
import { Strategy as LocalStrategy } from 'passport-local'
import { session, type SessionOptions } from '../../src/index.ts'
import { served, type Browser } from '../support/app.ts'
import { answering, bagOf, ecosystem, post, visitorOf, type Ecosystem, type Handlers } from '../support/ecosystem.ts'
import type { ExecutionContext } from 'ava'

// koa-passport 6 brings passport 0.6 along; the framework that it puts on it serves passport 0.7 as well.
const makes: Record<string, () => Passport> = {
  'koa-passport with its own passport': () => new koaPassport.KoaPassport(),
  'koa-passport with passport 0.7': () => new passport.Passport().framework(koaFramework()),
}

const ADA = { username: 'ada', password: 'right' }

function withStrategy(made: Passport): Passport {
  // A driver's own type of id, which passport hands on as it is.
  made.serializeUser((user, done) => done(null, user.id === '2020-01-01' ? new Date(user.id) : user.id))
  // Of another server, perhaps: it answers later.
  made.deserializeUser((id, done) => void setImmediate(done, null, id === 'deleted' ? false : { id }))
  made.use(
    'local',
    new LocalStrategy((username, password, done) => {
      if (password === 'right') done(null, { id: username })
      else done(null, false, { message: `wrong password for ${username}` })
    }),
  )
  return made
}

const userOf = (ctx: Context): string => (ctx.state as unknown as { user?: { id: string } }).user?.id ?? 'nobody'

/** Data under names that the session has, too. */
const NAMED = { createdAt: 5, owner: 'x', flash: { a: [1] }, update: 1, data: {}, save: 2 }

const handlers: Handlers = {
  '/me': userOf,
  '/show': (ctx) => JSON.stringify({ ...bagOf(ctx) }),
  '/cart': (ctx) => void (bagOf(ctx)['cart'] = ['book']),
  '/account': (ctx) => {
    bagOf(ctx)['returnTo'] = '/account?page=2'
    ctx.redirect('/login')
  },
  '/names': (ctx) => void (ctx.state.session.data = structuredClone(NAMED) as object),
  '/logout': async (ctx) => {
    await visitorOf(ctx).logout()
    return userOf(ctx)
  },
  '/logout-keep': (ctx) => visitorOf(ctx).logout({ keepSessionInfo: true }),
  '/login-over': async (ctx) => {
    await visitorOf(ctx).login({ id: 'bob' }, { keepSessionInfo: true })
    return userOf(ctx)
  },
  '/login-by-hand': async (ctx) => {
    await visitorOf(ctx).login({ id: 'bob' })
    return String(visitorOf(ctx).isAuthenticated())
  },
  '/login-after-null': async (ctx) => {
    visitorOf(ctx).session = null
    await visitorOf(ctx).login({ id: 'bob' })
    return String(visitorOf(ctx).isAuthenticated())
  },
}

function logins(made: Passport): Koa.Middleware {
  const forms: Record<string, object> = {
    '/login': { successRedirect: '/me', failureRedirect: '/login', failureMessage: true },
    '/login-keep': { successReturnToOrRedirect: '/me', failureRedirect: '/login', keepSessionInfo: true },
    '/login-message': { successRedirect: '/me', successMessage: 'welcome', keepSessionInfo: true },
    '/login-401': {},
  }
  return (ctx, next): unknown => {
    const form = ctx.method === 'POST' ? forms[ctx.path] : undefined
    if (form === undefined) return next()
    return made.authenticate('local', form)(ctx, next)
  }
}

function site(t: ExecutionContext, open: () => Passport, options: SessionOptions = {}): Promise<Ecosystem> {
  const made = withStrategy(open())
  return ecosystem(t, options, bodyParser(), made.initialize(), made.session(), logins(made), answering(handlers))
}

/** The data of all sessions. */
async function stored({ middleware }: Ecosystem): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const { data } of middleware.scan()) all.push(data)
  return all
}

/** A browser where Ada is signed in and has put something into the cart. */
async function adaWithCart(t: ExecutionContext, open: () => Passport): Promise<Browser> {
  const browser = (await site(t, open)).browser()
  await post(browser, '/login', ADA)
  await browser.get('/cart')
  return browser
}

for (const [name, open] of Object.entries(makes)) {
  test(`${name}: a login stays from request to request`, async (t) => {
    const browser = (await site(t, open)).browser()

    const answer = await post(browser, '/login', ADA)

    t.is(answer.headers.get('location'), '/me')
    t.is((await browser.get('/me')).body, 'ada')
    t.is((await browser.get('/me')).body, 'ada')
  })

  test(`${name}: a login gives a new id, and the one from before is dead`, async (t) => {
    const browser = (await site(t, open)).browser()
    await browser.get('/cart')
    const before = await browser.cookie()

    await post(browser, '/login', ADA)

    t.not(await browser.cookie(), before)
    t.is((await browser.send('/me', before)).body, 'nobody')
    t.is((await browser.send('/show', before)).body, '{}')
  })

  test(`${name}: a login drops what an anonymous visitor had`, async (t) => {
    const browser = (await site(t, open)).browser()
    await browser.get('/cart')
    await post(browser, '/login', ADA)

    t.is((await browser.get('/show')).body, '{"passport":{"user":"ada"}}')
  })

  test(`${name}: keepSessionInfo keeps it`, async (t) => {
    const browser = (await site(t, open)).browser()
    await browser.get('/cart')
    await post(browser, '/login-keep', ADA)

    t.is((await browser.get('/show')).body, '{"cart":["book"],"passport":{"user":"ada"}}')
  })

  test(`${name}: keepSessionInfo keeps what has a name of the session's own`, async (t) => {
    const app = await site(t, open)
    const browser = app.browser()
    await browser.get('/names')
    await post(browser, '/login-keep', ADA)

    const [data] = await stored(app)
    t.deepEqual(data, { ...NAMED, passport: { user: 'ada' } })
    t.is((await browser.get('/me')).body, 'ada')
    t.deepEqual(app.warnings, [])
  })

  test(`${name}: a login of a visitor without a session is one stored record`, async (t) => {
    const { store, ...app } = await site(t, open)
    await post(app.browser(), '/login', ADA)

    t.is(store.counted().create, 1)
  })

  test(`${name}: a wrong password signs nobody in and leaves the id`, async (t) => {
    const browser = (await site(t, open)).browser()
    await browser.get('/cart')
    const before = await browser.cookie()

    const answer = await post(browser, '/login', { ...ADA, password: 'wrong' })

    t.is(answer.headers.get('location'), '/login')
    t.is((await browser.get('/me')).body, 'nobody')
    t.is(await browser.cookie(), before)
  })

  test(`${name}: without a redirect a wrong password is 401`, async (t) => {
    const browser = (await site(t, open)).browser()

    t.is((await post(browser, '/login-401', { ...ADA, password: 'wrong' })).status, 401)
  })

  test(`${name}: failure messages gather in the session`, async (t) => {
    const browser = (await site(t, open)).browser()
    await post(browser, '/login', { ...ADA, password: 'wrong' })
    await post(browser, '/login', { username: 'bob', password: 'wrong' })

    t.is((await browser.get('/show')).body, '{"messages":["wrong password for ada","wrong password for bob"]}')
  })

  test(`${name}: a success message comes through a login that keeps`, async (t) => {
    const browser = (await site(t, open)).browser()
    await post(browser, '/login-message', ADA)

    t.deepEqual(JSON.parse((await browser.get('/show')).body), { messages: ['welcome'], passport: { user: 'ada' } })
  })

  test(`${name}: a login leads back to where the visitor wanted to go, once`, async (t) => {
    const browser = (await site(t, open)).browser()
    await browser.get('/account')

    t.is((await post(browser, '/login-keep', ADA)).headers.get('location'), '/account?page=2')
    t.is((await browser.get('/show')).body, '{"passport":{"user":"ada"}}')
    t.is((await post(browser, '/login-keep', ADA)).headers.get('location'), '/me')
  })

  test(`${name}: a logout gives a new empty session, and the id from before is dead`, async (t) => {
    const browser = await adaWithCart(t, open)
    const before = await browser.cookie()

    t.is((await browser.get('/logout')).body, 'nobody')

    t.is((await browser.get('/me')).body, 'nobody')
    t.is((await browser.get('/show')).body, '{}')
    t.is((await browser.send('/me', before)).body, 'nobody')
  })

  test(`${name}: a logout with keepSessionInfo keeps all but the user`, async (t) => {
    const browser = await adaWithCart(t, open)
    await browser.get('/logout-keep')

    t.is((await browser.get('/me')).body, 'nobody')
    t.is((JSON.parse((await browser.get('/show')).body) as { cart?: unknown[] }).cart?.[0], 'book')
  })

  test(`${name}: ctx.login() resolves when the user is signed in`, async (t) => {
    const browser = (await site(t, open)).browser()

    t.is((await browser.get('/login-by-hand')).body, 'true')
    t.is((await browser.get('/me')).body, 'bob')
  })

  test(`${name}: ctx.login() after ctx.session = null signs in to a session of its own`, async (t) => {
    const browser = await adaWithCart(t, open)
    const before = await browser.cookie()

    t.is((await browser.get('/login-after-null')).body, 'true')
    t.is((await browser.get('/show')).body, '{"passport":{"user":"bob"}}')
    t.is((await browser.send('/me', before)).body, 'nobody')
  })

  test(`${name}: a login over another user that keeps the session's data signs the new user in`, async (t) => {
    const browser = await adaWithCart(t, open)
    const before = await browser.cookie()

    t.is((await browser.get('/login-over')).body, 'bob')

    t.is((await browser.get('/me')).body, 'bob')
    t.deepEqual(JSON.parse((await browser.get('/show')).body), { cart: ['book'], passport: { user: 'bob' } })
    t.is((await browser.send('/me', before)).body, 'nobody')
  })

  test(`${name}: a form's login over another user that keeps the session's data signs the new user in`, async (t) => {
    const app = await site(t, open)
    const browser = app.browser()
    await post(browser, '/login', ADA)
    await browser.get('/cart')
    await post(browser, '/login-keep', { ...ADA, username: 'eve' })

    t.is((await browser.get('/me')).body, 'eve')
    t.deepEqual(JSON.parse((await browser.get('/show')).body), { cart: ['book'], passport: { user: 'eve' } })
    t.deepEqual(app.warnings, [])
  })

  test(`${name}: a user whose id is no JSON value stays signed in`, async (t) => {
    const browser = (await site(t, open)).browser()
    await post(browser, '/login', { ...ADA, username: '2020-01-01' })

    t.is((await browser.get('/me')).body, '2020-01-01T00:00:00.000Z')
  })

  test(`${name}: a user who is gone is taken out of the session`, async (t) => {
    const browser = (await site(t, open)).browser()
    await post(browser, '/login', { username: 'deleted', password: 'right' })

    t.is((await browser.get('/me')).body, 'nobody')
    t.is((await browser.get('/show')).body, '{"passport":{}}')
  })

  test(`${name}: the owner option makes users listable, and lets them be logged out everywhere`, async (t) => {
    const owner = (data: Record<string, unknown>): string | undefined =>
      (data['passport'] as { user?: string } | undefined)?.user
    const { middleware, ...app } = await site(t, open, { owner })
    const [phone, laptop] = [app.browser(), app.browser()]
    await post(phone, '/login', ADA)
    await post(laptop, '/login', ADA)
    await post(app.browser(), '/login', { ...ADA, username: 'eve' })

    t.deepEqual(
      (await middleware.list('ada')).map(({ data }) => data),
      Array.from({ length: 2 }, () => ({ passport: { user: 'ada' } })),
    )
    await phone.get('/logout')
    t.is((await middleware.list('ada')).length, 1)
    t.is(await middleware.destroyAll('ada'), 1)
    t.is((await laptop.get('/me')).body, 'nobody')
  })

  test(`${name}: a WebSocket's upgrade sees who signed in, and nobody after the logout`, async (t) => {
    const { middleware, ...app } = await site(t, open)
    const browser = app.browser()
    await post(browser, '/login', ADA)
    const upgrade = new IncomingMessage(new Socket())
    upgrade.headers.cookie = await browser.cookie()
    const user = (): Promise<unknown> =>
      middleware.run(upgrade, ({ data }) => (data['passport'] as { user?: string } | undefined)?.user)

    t.is(await user(), 'ada')
    await browser.get('/logout')
    t.is(await user(), undefined)
  })

  test(`${name}: a slow request from before a login neither undoes nor joins it`, async (t) => {
    const app = await site(t, open)
    const browser = app.browser()
    await browser.get('/cart')
    const old = await browser.cookie()
    const barrier = app.store.pause('replace')
    const slow = browser.send('/account', old)
    await barrier.arrived
    await post(browser, '/login', ADA)
    barrier.open()

    t.is((await slow).status, 409)
    t.deepEqual((await slow).setCookie, [])
    t.is((await browser.get('/show')).body, '{"passport":{"user":"ada"}}')
  })

  test(`${name}: a store that fails at a login is an error, and nobody is signed in`, async (t) => {
    const app = await site(t, open)
    const browser = app.browser()
    await browser.get('/cart')
    app.store.next('create', { kind: 'fail' })

    t.is((await post(browser, '/login', ADA)).status, 503)
    t.is((await browser.get('/me')).body, 'nobody')
    t.is((await browser.get('/show')).body, '{"cart":["book"]}')
  })

  test(`${name}: without koaSession a first request is enough for a warning that names the remedy, once`, async (t) => {
    const app = await site(t, open, { koaSession: false })
    await app.browser().get('/me')
    await app.browser().get('/me')

    t.is(app.warnings.length, 1)
    t.regex(app.warnings[0] ?? '', /koa-passport.* koaSession: true/)
  })

  test(`${name}: without koaSession a message that would be lost is an error that names the remedy`, async (t) => {
    const app = await site(t, open, { koaSession: false })

    t.is((await post(app.browser(), '/login', { ...ADA, password: 'wrong' })).status, 500)
    t.regex(String(app.errors[0]), /session\.messages cannot be set: .*koaSession: true/)
  })

  test(`${name}: with another stateKey it finds ctx.session`, async (t) => {
    const browser = (await site(t, open, { stateKey: 'visitor' })).browser()
    await browser.get('/cart')
    const before = await browser.cookie()
    await post(browser, '/login', ADA)

    t.is((await browser.get('/me')).body, 'ada')
    t.is((await browser.send('/me', before)).body, 'nobody')
    t.is((await browser.get('/logout')).body, 'nobody')
    t.is((await browser.get('/me')).body, 'nobody')
  })

  for (const [path, remedy] of [
    ['/login', 'a login'],
    ['/login-by-hand', 'ctx.login()'],
  ] as const) {
    test(`${name}: without koaSession ${remedy} is an error that names the remedy`, async (t) => {
      const made = withStrategy(open())
      const app = new Koa()
      for (const one of [
        session({ logger: {} }),
        bodyParser(),
        made.initialize(),
        made.session(),
        logins(made),
        answering(handlers),
      ])
        app.use(one)
      const running = await served(t, app)

      t.is((await post(running.browser(), path, ADA)).status, 500)
      t.regex(String(running.errors[0]), /koaSession: true/)
    })
  }
}
