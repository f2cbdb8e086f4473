// The client leaves while its old session is taken over, or while it signs in: nobody learns what the request began, so the old
// session goes on.
import { once } from 'node:events'
import test from 'ava'
import Koa, { type Context } from 'koa'
import { session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served, type Answer } from '../support/app.ts'
import { ours, pages, type Visitor } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

/** Hangs up, and waits until the server knows. */
async function leave({ res }: Context, client: AbortController): Promise<void> {
  const left = once(res, 'close')
  client.abort()
  await left
}

for (const isStored of [true, false])
  for (const who of ['ada', undefined])
    test(`a refused sign-in of a client that left leaves the session of ${who ?? 'a visitor'} open, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
      const old = { cart: ['book'], ...(who !== undefined && { user: who }), _expire: Date.now() + DAY, _maxAge: DAY }
      const store = new OldStore(['k1', old])
      const app = new Koa()
      app.silent = true
      app.use(session<Visitor>({ keys: [...KEYS], owner: ({ user }) => user, logger: {} }))
      app.use(
        takeOver<Visitor>({
          from: fromKoaSession(isStored ? { store } : {}),
          until: Date.now() + 30 * DAY,
          overlap: '1d',
          goOn: (current, { user, cart }) => {
            Object.assign(current.data, { cart, ...(typeof user === 'string' && { user }) })
          },
        }),
      )
      const client = new AbortController()
      app.use(async (ctx, next) => {
        if (ctx.path === '/become') await leave(ctx, client)
        await next()
      })
      app.use(pages)
      const running = await served(t, app)
      const planted = isStored ? signed('k1') : inCookie(old)
      const send = (path: string, cookie: string, init?: RequestInit): Promise<Answer> =>
        running.browser().send(path, cookie, init)
      const mine = `${ours(await send('/', planted))}; ${planted}`
      t.regex((await send('/', mine)).body, new RegExp(`^${who ?? 'nobody'} .*book`))

      const told = once(app, 'error')
      await send('/become', mine, { signal: client.signal }).catch(() => undefined)
      t.like((await told)[0], { code: 'ERR_SESSION_HEADERS_SENT' })

      t.regex((await send('/', mine)).body, new RegExp(`^${who ?? 'nobody'} .*book`))
    })

for (const way of ['signIn()', 'data'])
  for (const isStored of [true, false])
    test(`an old session whose client leaves during the take-over is there later, ${way}, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
      const old = { cart: ['book'], _expire: Date.now() + DAY, _maxAge: DAY }
      const store = new OldStore(['k1', old])
      let late = 0
      const now = (): number => Date.now() + late
      const app = new Koa()
      app.silent = true
      const client = new AbortController()
      let done: () => void = () => undefined
      const over = new Promise<void>((resolve) => (done = resolve))
      app.use(async (ctx, next) => {
        if (ctx.path === '/leave') await leave(ctx, client)
        await next().finally(done)
      })
      app.use(session<Visitor>({ keys: [...KEYS], logger: {}, now }))
      app.use(
        takeOver<Visitor>({
          from: fromKoaSession(isStored ? { store } : {}),
          until: Date.now() + 30 * DAY,
          now,
          goOn: async (current, { cart }) => {
            current.data.cart = cart
            if (way === 'signIn()') await current.signIn('ada')
          },
        }),
      )
      app.use(pages)
      const running = await served(t, app)
      const planted = isStored ? signed('k1') : inCookie(old)
      await running
        .browser()
        .send('/leave', planted, { signal: client.signal })
        .catch(() => undefined)
      await over

      late = 60_000
      t.regex((await running.browser().send('/', planted)).body, /book/)
    })
