// Reading the id of a new session keeps it; where its cookie cannot be sent, that is told as any other change is.
import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import test from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { currentSession, session } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'
import { mounted, type Session } from '../support/mounted.ts'

const HEADERS_SENT = { code: 'ERR_SESSION_HEADERS_SENT' }
const request = (): IncomingMessage => new IncomingMessage(new Socket())

for (const lazy of [true, false]) {
  test(`run() gives out no id of a session that is not stored in silence, lazy: ${lazy}`, async (t) => {
    const { middleware, store } = await mounted(t, { keys: [...KEYS], lazy }, {})
    for (const read of [({ id }: Session) => id, (session: Session) => session.getSessionId()])
      await t.throwsAsync(middleware.run(request(), read), HEADERS_SENT)

    t.is(await middleware.run(request(), ({ publicId }) => publicId.length), 43)
    t.is(await middleware.run(request(), ({ origin }) => origin), 'new')
    t.is(await middleware.run(request(), (session) => session.update(() => 'nothing')), 'nothing')
    t.deepEqual(store.counted(), {})
  })
}

test('an id that is read in a WebSocket within the chain is told as a change is', async (t) => {
  const sockets = new WebSocketServer({ noServer: true })
  const app = new Koa()
  app.silent = true
  const heard: unknown[] = []
  app.on('error', (error: { code?: string }) => heard.push(error.code))
  app.use(session({ keys: [...KEYS] }))
  app.use(async (ctx) => {
    ctx.respond = false
    const socket = await new Promise<WebSocket>((resolve) =>
      sockets.handleUpgrade(ctx.req, ctx.req.socket, Buffer.alloc(0), resolve),
    )
    t.is(currentSession().id.length, 32)
    socket.on('message', (message: Buffer) => socket.send(message.toString()))
  })
  const running = await served(t, app)
  const client = new WebSocket(`ws${running.url.slice(4)}/`)
  t.teardown(() => client.terminate())
  await once(client, 'open')
  client.send('still here')
  const [answer] = (await once(client, 'message')) as [Buffer]

  t.is(String(answer), 'still here')
  t.deepEqual(heard, ['ERR_SESSION_HEADERS_SENT'])
})
