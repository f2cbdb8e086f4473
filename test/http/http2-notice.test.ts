// Over HTTP/2 Koa takes the connection of a client that has left for plain HTTP: no warning rests on that.
import { once } from 'node:events'
import { connect, constants, createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { KEYS } from '../support/app.ts'
import { certificate } from '../support/certificate.ts'
import { Barrier } from '../support/faults.ts'

test('over HTTP/2 with TLS a head for a client that has left warns of no cookie over plain http', async (t) => {
  const warnings: string[] = []
  const app = new Koa()
  app.keys = [...KEYS]
  app.use(session({ cookie: { name: '__Host-sid' }, logger: { warn: (line) => warnings.push(line) } }))
  const began = new Barrier()
  let told: (secure: boolean) => void = () => undefined
  const answered = new Promise<boolean>((resolve) => (told = resolve))
  app.use(async (ctx) => {
    Object.assign(currentSession().data, { n: 1 })
    ctx.respond = false
    const closed = once(ctx.res, 'close')
    await began.pass()
    await closed
    ctx.res.writeHead(200).end()
    told(ctx.secure)
  })
  const server = createSecureServer(certificate(), app.callback() as never)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect(`https://127.0.0.1:${(server.address() as AddressInfo).port}`, { rejectUnauthorized: false })
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  const leaving = client.request({ ':path': '/', ':authority': 'shop.example' })
  leaving.on('error', () => undefined)
  await began.arrived
  leaving.close(constants.NGHTTP2_CANCEL)
  began.open()

  t.false(await answered)
  t.deepEqual(warnings, [])
})
