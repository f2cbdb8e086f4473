// A WebSocket in the session of the page that opened it: its handlers call currentSession(), and session.signal closes it
// when the session ends, wherever and however that happens. Open http://localhost:18080 in two tabs.
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import Koa from 'koa'
import Router from 'koa-router'
import { bindSession, currentSession, session, SessionError } from 'koa-fastsession'
import { SqliteStore } from 'koa-fastsession/sqlite'
import { WebSocketServer, type WebSocket } from 'ws'

interface Visitor {
  count?: number
}

// In a file, so that two of these processes (PORT=18081 for the other) share the sessions; see 03-sqlite.ts.
const file = process.env['DATABASE'] ?? 'sessions.db'
const database =
  process.getBuiltinModule('node:sqlite') === undefined ? new (await import('libsql')).default(file) : file
const sessions = session<Visitor>({ keys: ['a secret that only this server knows'], store: new SqliteStore(database) })

/** Service code: a route calls it, and so does a socket. */
function count(): Promise<number> {
  return currentSession<Visitor>().update((data) => (data.count = (data.count ?? 0) + 1))
}

// ---- the web

const page = await readFile(new URL('html/socket.html', import.meta.url), 'utf8')
const router = new Router()

router.get('/', (ctx) => {
  ctx.type = 'html'
  ctx.body = page
})

router.post('/login/:name', async (ctx) => {
  await currentSession().signIn(ctx.params['name'] ?? '') // after the password was checked
  ctx.status = 204
})

router.post('/logout', async (ctx) => {
  await currentSession().destroy()
  ctx.status = 204
})

router.post('/count', async (ctx) => {
  if (currentSession().owner === undefined) return ctx.throw(401)
  ctx.body = { count: await count() }
})

const app = new Koa()
app.use(sessions)
app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
const server = app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))

// ---- the sockets

const ENDED = 4001 // 4000 to 4999 are for apps to choose
const MOVED = 4002

const sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 })

server.on('upgrade', (request, socket, head) => {
  const refuse = (status: string) => socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
  socket.once('error', () => socket.destroy())
  if (!isOurPage(request)) return refuse('403 Forbidden')
  sessions
    .run(request, ({ owner }) => {
      if (owner === undefined) refuse('401 Unauthorized')
      else sockets.handleUpgrade(request, socket, head, accept)
    })
    .catch(() => refuse('503 Service Unavailable'))
})

/**
 * A page of another host may open a socket here, and the browser sends our cookie along when that host is a neighbour
 * (SameSite looks at the site, not at the host). No CORS rule stands in its way: only Origin tells.
 */
function isOurPage({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host
}

/** Runs in the session of the upgrade. Messages come from outside of any request, so what hears them is bound. */
function accept(socket: WebSocket): void {
  const { signal } = currentSession() // watched until the connection closes
  const hangUp = (): void => socket.close(ENDED, 'the session has ended')
  if (signal.aborted) hangUp()
  else signal.addEventListener('abort', hangUp)

  socket.on('error', () => socket.terminate())
  socket.on(
    'message',
    bindSession(() => {
      count().then(
        (total) => socket.send(JSON.stringify({ count: total })),
        (error: unknown) => {
          // An outage of the store ends nothing. A session that cannot be changed under this id any more, and has not
          // ended, goes on under another: the page has a new cookie, and connects again.
          if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_GONE') return
          if (!signal.aborted) socket.close(MOVED, 'the session may have a new id')
        },
      )
    }),
  )
}
