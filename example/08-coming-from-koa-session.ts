// Coming from koa-session without asking everybody to sign in again: what it left is taken over, once for each browser.
// The middleware for it is made in migrate/take-over.ts, with koa-fastsession/migrate.
//
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/before/ada     as the app did it before
//   curl -b jar -c jar http://127.0.0.1:18080/account
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/logout
import { randomUUID } from 'node:crypto'
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionState } from 'koa-fastsession'
import type { OldKoaStore } from 'koa-fastsession/migrate'
import { goOnFrom, type Visitor } from './migrate/take-over.ts'

// The store that koa-session had: koa-redis, say. Here it is a Map.
const records = new Map<string, string>()
const oldStore: OldKoaStore = {
  get: (key) => JSON.parse(records.get(key) ?? 'null') as unknown,
  set: (key, data) => void records.set(key, JSON.stringify(data)),
  destroy: (key) => void records.delete(key),
}

const app = new Koa()
// The old secrets are still needed to read the old cookies.
app.keys = ['a new secret that only this server knows', 'the secret that koa-session signed with']

app.use(session<Visitor>())
app.use(goOnFrom(oldStore))

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
