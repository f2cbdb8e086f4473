// A Koa app on a free loopback port, and browsers for it, which keep cookies as RFC 6265 says.
import { once } from 'node:events'
import type { Server } from 'node:http'
import { connect, type ClientHttp2Session, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import Koa from 'koa'
import { CookieJar } from 'tough-cookie'

export interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Headers
  /** Every Set-Cookie line, in order. */
  readonly setCookie: readonly string[]
}

export interface Running {
  readonly app: Koa
  readonly server: Server
  readonly url: string
  /** Errors that reached `app.on('error')`. */
  readonly errors: unknown[]
  browser(): Browser
  close(): Promise<void>
}

export const KEYS: readonly string[] = [
  'a test secret of more than thirty-two characters',
  'an older one, which is just as long as the first',
]

/** Serves the app until `close`. `app.keys` is {@link KEYS} unless it is set. */
export async function serve(app: Koa): Promise<Running> {
  // Koa leaves the keys undefined until they are set; its types do not say so.
  if ((app.keys as unknown) === undefined) app.keys = [...KEYS]
  const errors: unknown[] = []
  app.on('error', (error: unknown) => errors.push(error))
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    app,
    server,
    url,
    errors,
    browser: () => new Browser(url),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Serves the app until the test ends. */
export async function served(t: ExecutionContext, app: Koa): Promise<Running> {
  const running = await serve(app)
  t.teardown(() => running.close())
  return running
}

/** Serves an app of these middlewares until the test ends. */
export function servedMiddlewares(t: ExecutionContext, ...middlewares: readonly Koa.Middleware[]): Promise<Running> {
  const app = new Koa()
  for (const middleware of middlewares) app.use(middleware)
  return served(t, app)
}

/** A client of a server of HTTP/2 that listens until the test ends. */
export async function http2Client(t: ExecutionContext, server: Http2Server): Promise<ClientHttp2Session> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  return client
}

/** A browser with a cookie jar of its own. */
export class Browser {
  readonly url: string
  readonly jar = new CookieJar(undefined, { rejectPublicSuffixes: false })

  constructor(url: string) {
    this.url = url
  }

  /** Sends a request with the cookies of the jar, and keeps the cookies of the response. */
  async get(path: string, init: RequestInit = {}): Promise<Answer> {
    const answer = await this.send(path, await this.jar.getCookieString(this.url + path), init)
    for (const line of answer.setCookie) await this.jar.setCookie(line, this.url + path, { ignoreError: true })
    return answer
  }

  /** Sends a request with this Cookie header instead of the jar's. The jar stays as it is. */
  async send(path: string, cookie: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(this.url + path, {
      redirect: 'manual',
      ...init,
      headers: { ...(init.headers as Record<string, string> | undefined), ...(cookie === '' ? {} : { cookie }) },
    })
    return {
      status: response.status,
      body: await response.text(),
      headers: response.headers,
      setCookie: response.headers.getSetCookie(),
    }
  }

  /** The Cookie header that the jar would send now. */
  cookie(path = '/'): Promise<string> {
    return this.jar.getCookieString(this.url + path)
  }

  /** A second browser with a copy of the cookies. */
  async twin(): Promise<Browser> {
    const twin = new Browser(this.url)
    for (const cookie of await this.jar.getCookies(this.url + '/'))
      await twin.jar.setCookie(cookie.toString(), this.url + '/')
    return twin
  }
}
