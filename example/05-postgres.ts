// Sessions in PostgreSQL, encrypted before they get there: whoever reads the table reads no data. It needs a server:
//
//   docker compose -f example/compose.yaml up -d postgres
//   curl -b jar -c jar -X PUT http://127.0.0.1:18080/note/buy%20milk
//   curl -b jar http://127.0.0.1:18080/note
//   curl http://127.0.0.1:18080/table
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionState } from 'koa-fastsession'
import { PostgresStore } from 'koa-fastsession/postgres'
import pg from 'pg'

interface Visitor {
  note?: string
}

const pool = new pg.Pool({
  connectionString: process.env['DATABASE_URL'] ?? 'postgres://postgres:postgres@127.0.0.1:5432/postgres',
})
pool.on('error', (error) => console.error(String(error))) // without a listener a lost connection ends the process

const app = new Koa()
const router = new Router<SessionState<Visitor>>()

app.use(
  session<Visitor>({
    keys: ['a secret that all servers know'],
    encryptionKeys: ['another secret, the newest', 'the one before it: what it encrypted is still read'],
    store: new PostgresStore(pool, { table: 'example_sessions' }),
  }),
)

router.put('/note/:text', (ctx) => {
  ctx.state.session.data.note = ctx.params['text'] ?? ''
  ctx.status = 204
})

router.get('/note', (ctx) => {
  ctx.body = ctx.state.session.data
})

router.get('/table', async (ctx) => {
  const { rows } = await pool.query('SELECT * FROM example_sessions') // what a thief would see
  ctx.body = rows
})

app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))
