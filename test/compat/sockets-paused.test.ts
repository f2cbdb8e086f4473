// koa-websocket accepts a socket before its chain runs: what arrives while session() loads the session finds no listener.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import test from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { MemoryStore, session } from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS, served } from '../support/app.ts'
import { FaultyStore } from '../support/faults.ts'

test('koa-websocket: a socket that is paused above the session loses no message while the session is loaded', async (t) => {
  const store = new FaultyStore(new MemoryStore())
  const middleware = session({ keys: [...KEYS], store, storeTimeout: '1m' })
  const cookie = await sessionCookie(middleware, { n: 1 })
  const app = new Koa()
  const running = await served(t, app)
  const heard: string[] = []
  new WebSocketServer({ server: running.server }).on('connection', (socket, request) => {
    const ctx = app.createContext(request, undefined as unknown as ServerResponse)
    socket.pause()
    void middleware(ctx, () => {
      socket.on('message', (message: Buffer) => {
        heard.push(String(message))
        socket.send('heard')
      })
      socket.resume()
      return Promise.resolve()
    })
  })
  const loading = store.pause('read')
  const socket = new WebSocket(running.url.replace('http', 'ws'), { headers: { cookie } })
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  await new Promise((resolve) => socket.send('first', resolve))
  await loading.arrived
  for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve))
  loading.open()
  await once(socket, 'message')

  t.deepEqual(heard, ['first'])
})
