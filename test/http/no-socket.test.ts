// A handler under test, with a context that was made of a plain object: its request has no socket.
import { ServerResponse, type IncomingMessage } from 'node:http'
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { KEYS } from '../support/app.ts'

test('a sign-in works in a context without a socket', async (t) => {
  const app = new Koa()
  app.keys = [...KEYS]
  const request = { headers: {}, method: 'GET', url: '/' } as unknown as IncomingMessage
  const ctx = app.createContext(request, new ServerResponse(request))

  await session()(ctx, () => currentSession().signIn('ada'))

  t.is((ctx.state as { session: { owner: string } }).session.owner, 'ada')
})
