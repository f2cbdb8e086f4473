import { connect, createSecureServer, createServer as createHttp2, type ClientHttp2Session } from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createHttps, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { bodyParser as newBodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import Koa from 'koa'
import oldBodyParser from 'koa-bodyparser'
import mount from 'koa-mount'
import { currentSession, session, type SessionManager, type SessionState } from '../../src/index.ts'
import { KEYS, served, servedMiddlewares } from '../support/app.ts'
import { certificate } from '../support/certificate.ts'
import { post } from '../support/ecosystem.ts'

interface Things {
  n?: number
  name?: unknown
}

const dataOf = (manager: SessionManager): Things => manager.data

const count: Koa.Middleware = (ctx) => {
  const data = dataOf(currentSession())
  ctx.body = String((data.n = (data.n ?? 0) + 1))
}

const parsers = { 'koa-bodyparser': oldBodyParser, '@koa/bodyparser': newBodyParser }

for (const [name, parser] of Object.entries(parsers)) {
  const keepName: Koa.Middleware = (ctx) => {
    const data = dataOf(currentSession())
    const { body } = ctx.request as { body?: { name?: unknown } }
    if (ctx.method === 'POST') data.name = body?.name
    ctx.body = String(data.name)
  }

  for (const [order, middlewares] of Object.entries({
    before: [parser() as Koa.Middleware, session(), keepName],
    after: [session(), parser() as Koa.Middleware, keepName],
  })) {
    test(`${name} ${order} session(): the handler has both, and a post with a body is kept`, async (t) => {
      const browser = (await servedMiddlewares(t, ...middlewares)).browser()

      t.is((await post(browser, '/', { name: 'Ada' })).body, 'Ada')
      t.is((await browser.get('/')).body, 'Ada')
    })
  }
}

test('an app mounted below session() shares the session', async (t) => {
  const inner = new Koa()
  inner.use(count)
  const browser = (await servedMiddlewares(t, session(), mount('/inner', inner), count)).browser()

  t.is((await browser.get('/')).body, '1')
  t.is((await browser.get('/inner/deep')).body, '2')
  t.is((await browser.get('/')).body, '3')
})

test('a session() mounted at a path serves that path alone', async (t) => {
  const inner = new Koa()
  inner.keys = [...KEYS]
  inner.use(session({ cookie: { path: '/inner' } })).use(count)
  const outer: Koa.Middleware = (ctx) => void (ctx.body = typeof (ctx.state as Partial<SessionState>).session)
  const browser = (await servedMiddlewares(t, mount('/inner', inner), outer)).browser()

  t.is((await browser.get('/inner')).body, '1')
  t.is((await browser.get('/inner')).body, '2')
  t.is((await browser.get('/')).body, 'undefined')
})

test('a mounted app may have a session of its own beside the outer one', async (t) => {
  const inner = new Koa()
  inner.keys = [...KEYS]
  inner.use(session({ stateKey: 'admin', cookie: { name: 'admin' } })).use(count)
  const browser = (await servedMiddlewares(t, session(), mount('/inner', inner), count)).browser()

  t.is((await browser.get('/')).body, '1')
  t.is((await browser.get('/inner')).body, '1')
  t.is((await browser.get('/inner')).body, '2')
  t.is((await browser.get('/')).body, '2')
})

test("@koa/router's handlers and parameters have the session", async (t) => {
  const router = new Router<SessionState>()
  router.param('name', (name, ctx, next) => {
    dataOf(ctx.state.session).name = name
    return next()
  })
  router.get('/hello/:name', count)
  router.get('/name', (ctx) => void (ctx.body = dataOf(ctx.state.session).name))
  const browser = (await servedMiddlewares(t, session(), router.routes() as Koa.Middleware)).browser()

  t.is((await browser.get('/hello/ada')).body, '1')
  t.is((await browser.get('/name')).body, 'ada')
})

test("session() in one router's prefix serves those routes alone", async (t) => {
  const router = new Router()
  router.use('/shop', session() as never)
  router.get('/shop/count', count as never)
  router.get('/plain', (ctx) => void (ctx.body = typeof (ctx.state as Partial<SessionState>).session))
  const browser = (await servedMiddlewares(t, router.routes() as Koa.Middleware)).browser()

  t.is((await browser.get('/shop/count')).body, '1')
  t.is((await browser.get('/shop/count')).body, '2')
  t.is((await browser.get('/plain')).body, 'undefined')
})

// ---- HTTP/2

interface Reply {
  readonly body: string
  readonly setCookie: readonly string[]
}

function ask(client: ClientHttp2Session, path: string, cookie?: string | string[]): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const stream = client.request({ ':path': path, ...(cookie === undefined ? {} : { cookie }) })
    let setCookie: readonly string[] = []
    let body = ''
    stream.on('response', (headers) => (setCookie = headers['set-cookie'] ?? []))
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => (body += chunk))
    stream.on('end', () => resolve({ body, setCookie }))
    stream.on('error', reject)
    stream.end()
  })
}

async function http2(t: ExecutionContext, ...middlewares: Koa.Middleware[]): Promise<ClientHttp2Session> {
  return http2Over(t, 'http', middlewares)
}

async function http2Over(
  t: ExecutionContext,
  protocol: 'http' | 'https',
  middlewares: Koa.Middleware[],
): Promise<ClientHttp2Session> {
  const app = new Koa()
  app.keys = [...KEYS]
  for (const one of middlewares) app.use(one)
  const callback = app.callback()
  const listener = (request: object, response: object): void =>
    void callback(request as IncomingMessage, response as ServerResponse)
  const server = protocol === 'http' ? createHttp2(listener) : createSecureServer(certificate(), listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect(`${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    rejectUnauthorized: false,
  })
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  return client
}

const pairIn = (reply: Reply): string => reply.setCookie[0]?.split(';')[0] ?? ''

test('over HTTP/2 a session begins and goes on', async (t) => {
  const client = await http2(t, session(), count)

  const first = await ask(client, '/')
  t.is(first.setCookie.length, 1)
  t.is((await ask(client, '/', pairIn(first))).body, '2')
})

test('over HTTP/2 a browser may split the Cookie header', async (t) => {
  const client = await http2(t, session(), count)
  const cookie = pairIn(await ask(client, '/'))

  t.is((await ask(client, '/', ['a=1', cookie, 'b=2'])).body, '2')
})

test('over HTTP/2 parallel streams of one session lose nothing', async (t) => {
  const client = await http2(t, session(), async (ctx) => {
    ctx.body = String(await currentSession<Things>().update((data) => (data.n = (data.n ?? 0) + 1)))
  })
  const cookie = pairIn(await ask(client, '/'))
  await Promise.all(Array.from({ length: 20 }, () => ask(client, '/', cookie)))

  t.is((await ask(client, '/', cookie)).body, '22')
})

test('over HTTP/2 a thrown error keeps the cookie that is due', async (t) => {
  const client = await http2(t, session(), async (ctx) => {
    dataOf(currentSession()).n = 1
    await currentSession().save()
    ctx.throw(400)
  })

  t.is((await ask(client, '/')).setCookie.length, 1)
})

test('over HTTP/2 with TLS the cookie is Secure, its name may say so, and the session goes on', async (t) => {
  const client = await http2Over(t, 'https', [session({ cookie: { name: '__Host-sid' } }), count])

  const first = await ask(client, '/')
  t.regex(first.setCookie.join(), /^__Host-sid=[^;]+; Path=\/; HttpOnly; SameSite=Lax; Secure$/)
  t.is((await ask(client, '/', pairIn(first))).body, '2')
})

test("over HTTP/2 with TLS secure: 'auto' follows the connection", async (t) => {
  t.regex((await ask(await http2Over(t, 'https', [session(), count]), '/')).setCookie.join(), /; Secure$/)
  t.notRegex((await ask(await http2(t, session(), count), '/')).setCookie.join(), /Secure/)
})

// ---- behind a proxy that speaks TLS

async function proxied(
  t: ExecutionContext,
  isTrusted: boolean,
): Promise<{ warnings: string[]; setCookie: readonly string[] }> {
  const warnings: string[] = []
  const app = new Koa({ proxy: isTrusted })
  app.use(session({ logger: { warn: (line) => warnings.push(line) } })).use(count)
  const running = await served(t, app)
  const { setCookie } = await running.browser().send('/', '', { headers: { 'x-forwarded-proto': 'https' } })
  return { warnings, setCookie }
}

test('behind a trusted TLS proxy the cookie is Secure', async (t) => {
  const { warnings, setCookie } = await proxied(t, true)

  t.regex(setCookie.join(), /; secure/i)
  t.deepEqual(warnings, [])
})

test('behind a TLS proxy that is not trusted the cookie is not Secure, and the log says so', async (t) => {
  const { warnings, setCookie } = await proxied(t, false)

  t.notRegex(setCookie.join(), /; secure/i)
  t.is(warnings.length, 1)
  t.regex(warnings[0] ?? '', /proxy/)
})

test('over TLS of our own the cookie is Secure', async (t) => {
  const app = new Koa()
  app.keys = [...KEYS]
  app.use(session()).use(count)
  const callback = app.callback()
  const server = createHttps(certificate(), (request, response) => void callback(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const setCookie = await new Promise<string[] | undefined>((resolve, reject) => {
    get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false }, (response) => {
      response.resume()
      resolve(response.headers['set-cookie'])
    }).on('error', reject)
  })

  t.regex(setCookie?.join() ?? '', /; Secure$/)
})

// ---- handlers that answer by themselves

/** As Next.js does it: a request handler that knows nothing of Koa, and answers later and in pieces. */
function rawHandler(act: (data: Things) => void) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    act(dataOf(currentSession()))
    response.statusCode = 200
    response.setHeader('content-type', 'text/html')
    response.setHeader('x-powered-by', 'Next.js')
    response.setHeader('set-cookie', ['theme=dark; Path=/'])
    response.write(`<p>${request.url ?? ''}</p>`)
    await new Promise((resolve) => setImmediate(resolve))
    response.end(`<p>${dataOf(currentSession()).n ?? 0}</p>`)
  }
}

function answeringItself(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Koa.Middleware {
  return async (ctx) => {
    await handle(ctx.req, ctx.res)
    ctx.respond = false
  }
}

test('a raw handler below ctx.respond = false begins a session: its cookie is beside the own one', async (t) => {
  const handle = rawHandler((data) => (data.n = (data.n ?? 0) + 1))
  const browser = (await servedMiddlewares(t, session(), answeringItself(handle))).browser()

  const first = await browser.get('/page')

  t.is(first.body, '<p>/page</p><p>1</p>')
  t.is(first.headers.get('x-powered-by'), 'Next.js')
  t.is(first.setCookie.length, 2)
  t.is((await browser.get('/page')).body, '<p>/page</p><p>2</p>')
})

test('a raw handler that consults no session sends no session cookie', async (t) => {
  const handle = async (_request: IncomingMessage, response: ServerResponse): Promise<void> => {
    await Promise.resolve()
    response.end('static')
  }
  const answer = await (await servedMiddlewares(t, session(), answeringItself(handle))).browser().get('/')

  t.is(answer.body, 'static')
  t.deepEqual(answer.setCookie, [])
})

test('a raw handler that answers before it changes a new session is told, and nothing is stored', async (t) => {
  const handle = async (_request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.end('too early')
    await Promise.resolve()
    dataOf(currentSession()).n = 1
  }
  const app = await servedMiddlewares(t, session(), answeringItself(handle))

  t.deepEqual((await app.browser().get('/')).setCookie, [])
  t.is((app.errors[0] as { code?: string }).code, 'ERR_SESSION_HEADERS_SENT')
})
