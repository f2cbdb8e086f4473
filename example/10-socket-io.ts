// socket.io in the session of the page: rooms of a session, handlers that call currentSession(), and no socket that
// outlives its session. Open http://localhost:18080 in two tabs.
import { subscribe } from 'node:diagnostics_channel'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import Koa from 'koa'
import Router from 'koa-router'
import { bindSession, currentSession, session, SessionError, type EventMessage } from 'koa-fastsession'
import { SqliteStore } from 'koa-fastsession/sqlite'
import { Server } from 'socket.io'

interface Visitor {
  messages?: string[]
}

// In a file, so that two of these processes (PORT=18081 for the other) share the sessions; see 03-sqlite.ts.
const file = process.env['DATABASE'] ?? 'sessions.db'
const database =
  process.getBuiltinModule('node:sqlite') === undefined ? new (await import('libsql')).default(file) : file
const sessions = session<Visitor>({ keys: ['a secret that only this server knows'], store: new SqliteStore(database) })

/** Service code: a route calls it, and so does a socket. */
function remember(text: string): Promise<string[]> {
  return currentSession<Visitor>().update((data) => (data.messages = [...(data.messages ?? []), text].slice(-20)))
}

// ---- the web

const page = await readFile(new URL('html/socket-io.html', import.meta.url), 'utf8')
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

router.post('/say/:text', async (ctx) => {
  const { owner, publicId } = currentSession()
  if (owner === undefined) return ctx.throw(401)
  const messages = await remember(ctx.params['text'] ?? '')
  io.in(publicId).emit('messages', messages)
  ctx.body = messages
})

const app = new Koa()
app.use(sessions)
app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
const server = app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))

// ---- the sockets

/** What a socket keeps of its session: both functions run in it, wherever they are called. */
interface Held {
  publicId: string
  remember: (text: string) => Promise<string[]>
  reload: () => Promise<void>
}

type Events = Record<'messages', (messages: string[]) => void>
type Reply = (messages: string[]) => void
type Requests = Record<'say', (text: unknown, reply?: Reply) => void>

const io = new Server<Requests, Events, Record<string, never>, Held>(server, {
  allowRequest: (request, allow) => allow(null, isOurPage(request)),
})

/**
 * A page of another host may connect here with our cookie when that host is a neighbour: SameSite looks at the site, not
 * at the host. Only Origin tells. Browsers leave it out where a page polls its own host, and never in a WebSocket.
 */
function isOurPage({ headers: { origin, host, upgrade } }: IncomingMessage): boolean {
  if (origin === undefined) return upgrade === undefined
  return URL.canParse(origin) && new URL(origin).host === host
}

io.use((socket, next) => {
  sessions
    .run(socket.request, async ({ owner, publicId }) => {
      if (owner === undefined) throw new Error('sign in first')
      socket.data = { publicId, remember: bindSession(remember), reload: bindSession(() => currentSession().reload()) }
      await socket.join(publicId)
    })
    // A page is told the message of the error: not what is wrong with our store.
    .then(
      () => next(),
      (error: unknown) => next(error instanceof SessionError ? new Error('try again later') : (error as Error)),
    )
})

io.on('connection', (socket) => {
  const { publicId, remember } = socket.data
  socket.on('say', (text, reply) => {
    if (typeof text !== 'string' || typeof reply !== 'function') return // a client may send anything
    remember(text).then(
      (messages) => {
        reply(messages)
        socket.to(publicId).emit('messages', messages)
      },
      (error: unknown) => hangUp(publicId, error),
    )
  })
  void check(socket) // the session may have ended while the socket was on its way
})

async function check({ data: { publicId, reload } }: { data: Held }): Promise<void> {
  await reload().catch((error: unknown) => hangUp(publicId, error))
}

/** An outage of the store ends nothing; the end of a session does. */
function hangUp(publicId: string | undefined, error?: unknown): void {
  if (publicId === undefined) return
  if (error === undefined || (error instanceof SessionError && error.code === 'ERR_SESSION_GONE'))
    io.in(publicId).disconnectSockets(true)
}

// Ended in this process, or gone on under another id, with which the page may connect again.
subscribe('koa-fastsession:destroy', (message) => hangUp((message as EventMessage).publicId))
subscribe('koa-fastsession:regenerate', (message) => hangUp((message as EventMessage).previousPublicId))
// Ended in another process, or by the clock: only the store knows. reload() is one read, and counts as no use, so an open
// socket does not keep an idle session alive.
setInterval(
  () => {
    for (const socket of io.sockets.sockets.values()) void check(socket)
  },
  Number(process.env['CHECK_INTERVAL'] ?? 10_000),
).unref()
