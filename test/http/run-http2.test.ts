// run() over HTTP/2, where a request names its host in `:authority`: also before Koa has served a request.
import { createServer, type Http2ServerRequest } from 'node:http2'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import { session } from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { http2Client, KEYS } from '../support/app.ts'

test('over HTTP/2 run() serves a request of its own site, and refuses one of another', async (t) => {
  const middleware = session({ keys: [...KEYS] })
  const cookie = await sessionCookie(middleware, {})
  const server = createServer((request: Http2ServerRequest, response) => {
    middleware
      .run(request as unknown as IncomingMessage, ({ origin }) => origin)
      .then(
        (origin) => response.end(origin),
        (error: unknown) => response.end((error as { code: string }).code),
      )
  })
  const client = await http2Client(t, server)
  const authority = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const post = async (origin: string): Promise<string> => {
    // A browser without Fetch Metadata.
    const stream = client.request({ ':method': 'POST', ':path': '/', cookie, origin })
    let body = ''
    for await (const part of stream.setEncoding('utf8')) body += String(part)
    return body
  }

  t.is(await post('http://shop.example'), 'ERR_SESSION_CROSS_SITE')
  t.is(await post(`http://${authority}`), 'resumed')
})
