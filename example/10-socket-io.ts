// socket.io in the session of the page: rooms of a session, handlers that call currentSession(), and no socket that
// outlives its session, by session.signal. Open http://localhost:18080 in two tabs.
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import Koa from 'koa'
import Router from 'koa-router'
import { bindSession, currentSession, session, SessionError } from 'koa-fastsession'
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

/** What a socket keeps of its session. `remember` runs in it, wherever it is called. */
interface Held {
  publicId: string
  signal: AbortSignal
  remember: (text: string) => Promise<string[]>
}

type Events = Record<'messages', (messages: string[]) => void>
type Reply = (messages: string[]) => void
type Requests = Record<'say', (text: unknown, reply?: Reply) => void>

const io = new Server<Requests, Events, Record<string, never>, Held>(server, {
  // A signal is watched while the connection of its request is open. A page that polls has a new one now and then.
  transports: ['websocket'],
  allowRequest: (request, allow) => allow(null, isOurPage(request)),
})

/**
 * A page of another host may connect here with our cookie when that host is a neighbour: SameSite looks at the site, not
 * at the host. Only Origin tells.
 */
function isOurPage({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host
}

io.use((socket, next) => {
  sessions
    .run(socket.request, async ({ owner, publicId, signal }) => {
      if (owner === undefined) throw new Error('sign in first')
      socket.data = { publicId, signal, remember: bindSession(remember) }
      await socket.join(publicId)
    })
    // A page learns the message of the error: not what is wrong with our store.
    .then(
      () => next(),
      (error: unknown) => next(error instanceof SessionError ? new Error('try again later') : (error as Error)),
    )
})

io.on('connection', (socket) => {
  const { publicId, signal, remember } = socket.data
  const hangUp = (): void => void socket.disconnect(true)
  if (signal.aborted) hangUp()
  else signal.addEventListener('abort', hangUp)

  socket.on('say', (text, reply) => {
    if (typeof text !== 'string' || typeof reply !== 'function') return // a client may send anything
    remember(text).then(
      (messages) => {
        reply(messages)
        socket.to(publicId).emit('messages', messages)
      },
      (error: unknown) => {
        // It has ended, or has a new id, with which the page connects again. An outage of the store is neither.
        if (error instanceof SessionError && error.code === 'ERR_SESSION_GONE') hangUp()
      },
    )
  })
})
