// One process of a deploy (test/support/deploy.ts): an app with some version of this package, or with the koa-session or
// express-session that it takes over from. The first argument says which. Many of these are started, so this is JavaScript over
// built packages: nothing is compiled, and clients are imported only where they are used.
import { createServer } from 'node:http'
import Koa from 'koa'

/** @type {import('./deploy.ts').Orders} */
const orders = JSON.parse(process.argv[2])
const { app, store: shared, keys, encryptionKeys, from, oldSecrets } = orders

/** What each path does with a session. */
const verbs = {
  put: ({ data }, name) => (data[name] = name),
  increment: (session, name) => session.update((data) => (data[name] = Number(data[name] ?? 0) + 1)),
  login: (session, name) => session.signIn(name),
  again: (session) => session.regenerate(),
  say: (session, name) => void session.flash('notice', name),
  hear: (session) => session.flash('notice'),
  remember: (session) => (session.maxAge = '7d'),
  logout: (session) => session.destroy(),
  look: () => undefined,
}

async function redisClient() {
  const { Redis } = await import('ioredis')
  // The server of a test may end before its processes do.
  return new Redis(shared.redis, '127.0.0.1').on('error', () => undefined)
}

async function storeOf(entries) {
  if ('redis' in shared) {
    const { RedisStore } = await import(entries.redis)
    return new RedisStore(await redisClient())
  }
  const [{ PostgresStore }, { default: pg }] = await Promise.all([import(entries.postgres), import('pg')])
  return new PostgresStore(new pg.Pool({ connectionString: shared.postgres, max: 5 }))
}

/** An app with this package. */
async function ours(entries) {
  const { session } = await import(entries.index)
  const koa = new Koa()
  koa.silent = true
  // A slow machine must not cause an outage.
  koa.use(session({ keys, encryptionKeys, store: await storeOf(entries), storeTimeout: '20s', logger: {} }))
  if (from !== undefined) koa.use(await takingOver(entries))
  koa.use(async (ctx) => {
    const manager = ctx.state.session
    const [, verb, name] = ctx.path.split('/')
    const result = await verbs[verb](manager, name)
    if (verb === 'logout') ctx.body = { origin: 'ended', data: {} }
    else {
      const { origin, owner, publicId, data } = manager
      ctx.body = { origin, owner, publicId, data, result }
    }
  })
  return koa.callback()
}

async function takingOver(entries) {
  const { fromExpressSession, fromKoaSession, takeOver } = await import(entries.migrate)
  return takeOver({
    from:
      from === 'koa-session'
        ? fromKoaSession({ store: await koaStore(), keys: oldSecrets })
        : fromExpressSession({ store: await expressStore(), secret: oldSecrets }),
    until: Date.now() + 86_400_000,
    overlap: '1h',
    goOn: async (current, { owner, data }) => {
      current.data = { ...data }
      if (typeof owner === 'string') await current.signIn(owner)
    },
  })
}

/** A store for koa-session over Redis, as users of koa-session write it. */
async function koaStore() {
  const client = await redisClient()
  return {
    get: async (key) => JSON.parse((await client.get(`koa:${key}`)) ?? 'null'),
    set: (key, value, maxAge) => client.set(`koa:${key}`, JSON.stringify(value), 'PX', Math.max(1, Math.round(maxAge))),
    destroy: (key) => client.del(`koa:${key}`),
  }
}

async function expressStore() {
  const [{ RedisStore: ConnectRedis }, { createClient }] = await Promise.all([import('connect-redis'), import('redis')])
  return new ConnectRedis({ client: await createClient({ url: `redis://127.0.0.1:${shared.redis}` }).connect() })
}

/** What an app with the old middleware does with its session. */
function changed(old, path) {
  const [, verb, name] = path.split('/')
  old.data ??= {}
  if (verb === 'put') old.data[name] = name
  if (verb === 'increment') old.data[name] = Number(old.data[name] ?? 0) + 1
  if (verb === 'login') old.owner = name
  return { origin: 'before', owner: old.owner, data: old.data }
}

const ended = { origin: 'ended', data: {} }

async function withKoaSession() {
  const { default: koaSession } = await import('koa-session')
  const koa = new Koa()
  koa.keys = oldSecrets
  koa.use(koaSession({ store: await koaStore() }, koa))
  koa.use((ctx) => {
    if (ctx.path === '/logout') ctx.session = null
    ctx.body = ctx.path === '/logout' ? ended : changed(ctx.session, ctx.path)
  })
  return koa.callback()
}

async function withExpressSession() {
  const { default: expressSession } = await import('express-session')
  const middleware = expressSession({
    secret: oldSecrets,
    store: await expressStore(),
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 86_400_000 },
  })
  return (request, response) =>
    middleware(request, response, () => {
      const answer = (body) => response.end(JSON.stringify(body))
      if (request.url === '/logout') request.session.destroy(() => answer(ended))
      else answer(changed(request.session, request.url))
    })
}

const apps = { 'koa-session': withKoaSession, 'express-session': withExpressSession }
const server = createServer(await (typeof app === 'string' ? apps[app]() : ours(app)))
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
// The parent process has ended.
process.once('disconnect', () => process.exit(0))
