// Over HTTP/2, where a response has no `destroyed` of its own, a client that has left gets no new id either.
import { once } from 'node:events'
import { constants, createServer } from 'node:http2'
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { Barrier } from '../support/faults.ts'
import { http2Client, KEYS } from '../support/app.ts'

test('over HTTP/2 a new id is refused where the client has left, and the id that it has stays good', async (t) => {
  const app = new Koa()
  app.keys = [...KEYS]
  app.silent = true
  app.use(session({ logger: {} }))
  const began = new Barrier()
  let told: (outcome: unknown) => void = () => undefined
  const refusal = new Promise((resolve) => (told = resolve))
  app.use(async (ctx) => {
    if (ctx.path === '/in') await currentSession().signIn('ada')
    if (ctx.path === '/leave') {
      const closed = once(ctx.res, 'close')
      await began.pass()
      await closed
      await currentSession()
        .regenerate()
        .then(told, (error: unknown) => told(error))
    }
    ctx.body = currentSession().owner ?? 'nobody'
  })
  const client = await http2Client(t, createServer(app.callback() as never))
  const ask = async (path: string, cookie?: string): Promise<{ body: string; cookie: string }> => {
    const stream = client.request({ ':path': path, ...(cookie !== undefined && { cookie }) })
    const [headers] = (await once(stream, 'response')) as [Record<string, string[] | undefined>]
    let body = ''
    for await (const part of stream.setEncoding('utf8')) body += String(part)
    return { body, cookie: headers['set-cookie']?.[0]?.split(';')[0] ?? '' }
  }
  const { cookie } = await ask('/in')

  const leaving = client.request({ ':path': '/leave', cookie })
  leaving.on('error', () => undefined)
  await began.arrived
  leaving.close(constants.NGHTTP2_CANCEL)
  began.open()

  t.like(await refusal, { code: 'ERR_SESSION_HEADERS_SENT' })
  t.is((await ask('/', cookie)).body, 'ada')
})
