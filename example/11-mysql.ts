// Sessions in MariaDB or MySQL: whoever changes their password logs all their other devices out. It needs a server:
//
//   docker compose -f example/compose.yaml up -d mariadb
//   curl -c laptop -X POST http://127.0.0.1:18080/login/ada
//   curl -c phone -X POST http://127.0.0.1:18080/login/ada
//   curl -b laptop -X POST http://127.0.0.1:18080/password
//   curl -b phone http://127.0.0.1:18080/
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionState } from 'koa-fastsession'
import { MysqlStore } from 'koa-fastsession/mysql'
import mysql from 'mysql2/promise'

const pool = mysql.createPool(process.env['MYSQL_URL'] ?? 'mysql://root:mariadb@127.0.0.1:3306/example')

const app = new Koa()
const router = new Router<SessionState>()
const sessions = session({
  keys: ['a secret that all servers know'],
  store: new MysqlStore(pool, { table: 'example_sessions' }),
})

app.use(sessions)

router.post('/login/:name', async (ctx) => {
  await ctx.state.session.signIn(ctx.params['name'] ?? '')
  ctx.status = 204
})

router.post('/password', async (ctx) => {
  const { owner, publicId } = ctx.state.session
  if (owner === undefined) return ctx.throw(401)
  ctx.body = { ended: await sessions.destroyAll(owner, { except: publicId }) }
})

router.get('/', (ctx) => {
  ctx.body = { owner: ctx.state.session.owner ?? 'nobody' }
})

app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))
