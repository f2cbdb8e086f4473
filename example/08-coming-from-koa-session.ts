// Coming from koa-session without asking everybody to sign in again: what it left is taken over, once for each browser.
// The recipe, migrate/take-over.ts, is there to be copied; it knows express-session's sessions as well.
//
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/before/ada     as the app did it before
//   curl -b jar -c jar http://127.0.0.1:18080/account
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/logout
import { randomUUID } from 'node:crypto'
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionState } from 'koa-fastsession'
import { koaSession, takeOver, type KoaSessionStore } from './migrate/take-over.ts'

interface Visitor {
  cart?: string[]
  isTakenOver?: boolean
}

// The store that koa-session had: koa-redis, say. Here it is a Map.
const records = new Map<string, string>()
const oldStore: KoaSessionStore = {
  get: (key) => JSON.parse(records.get(key) ?? 'null') as unknown,
  set: (key, data) => void records.set(key, JSON.stringify(data)),
}

// In an app a date that is written out, so that no restart moves it: the last old session has ended by then.
const until = Date.now() + 86_400_000

const app = new Koa()
// The old secrets are still needed to read the old cookies.
app.keys = ['a new secret that only this server knows', 'the secret that koa-session signed with']

app.use(session<Visitor>())
app.use(
  takeOver<Visitor>({
    from: koaSession({ store: oldStore }),
    until,
    async goOn(current, { user, cart }) {
      if (Array.isArray(cart)) current.data.cart = cart.filter((item) => typeof item === 'string')
      if (typeof user !== 'string') return
      // The password was given long ago, and authenticatedAt will say now: so it is remembered that it does not count.
      current.data.isTakenOver = true
      await current.signIn(user)
    },
  }),
)

const router = new Router<SessionState<Visitor>>()

router.get('/account', (ctx) => {
  const { owner, data } = ctx.state.session
  if (owner === undefined) return ctx.throw(401)
  ctx.body = { owner, cart: data.cart ?? [], asksForPassword: data.isTakenOver === true }
})

router.post('/login/:name', async (ctx) => {
  await ctx.state.session.signIn(ctx.params['name'] ?? '', { keep: ['cart'] }) // after the password was checked
  ctx.status = 204
})

router.post('/logout', async (ctx) => {
  await ctx.state.session.destroy()
  ctx.status = 204
})

// What koa-session did: the data goes to its store, and the key into a signed cookie.
router.post('/before/:user', (ctx) => {
  const key = randomUUID()
  const [_maxAge, user] = [86_400_000, ctx.params['user']]
  records.set(key, JSON.stringify({ user, cart: ['book'], _maxAge, _expire: Date.now() + _maxAge }))
  ctx.cookies.set('koa.sess', key, { signed: true })
  ctx.status = 204
})

app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))
