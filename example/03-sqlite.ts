// Sessions that survive a restart, in a file: count, stop the program, start it again, count on.
//
//   curl -b jar -c jar http://127.0.0.1:18080/
import Koa from 'koa'
import { session, type SessionState } from 'koa-fastsession'
import { SqliteStore } from 'koa-fastsession/sqlite'

interface Visitor {
  views?: number
}

const file = process.env['DATABASE'] ?? 'sessions.db'

// node:sqlite is part of Node from 22.13 on. Older ones need a package: npm install libsql, or better-sqlite3.
const database =
  process.getBuiltinModule('node:sqlite') === undefined ? new (await import('libsql')).default(file) : file

const app = new Koa<SessionState<Visitor>>()
const sessions = session<Visitor>({ keys: ['a secret that only this server knows'], store: new SqliteStore(database) })
app.use(sessions)

app.use((ctx) => {
  const { data } = ctx.state.session
  data.views = (data.views ?? 0) + 1
  ctx.body = { views: data.views }
})

const port = Number(process.env['PORT'] ?? 18080)
const server = app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}, sessions in ${file}`))
process.once('SIGTERM', () => server.close(() => void sessions.close()))
