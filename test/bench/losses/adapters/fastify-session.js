import cookie from '@fastify/cookie'
import session, { MemoryStore } from '@fastify/session'
import fastify from 'fastify'
import { CallbackStore } from '../stores.js'

/** @type {import('../site.js').Adapter} */
export const fastifySession = {
  name: '@fastify/session',
  configured:
    '`cookie: { secure: false }`, as its README asks for plain HTTP, over a store that keeps JSON, as connect-redis does. Login is `await regenerate()`, logout `await destroy()`, an increment `reload`, then `save`.',
  openStore: () => new CallbackStore(),
  listen: (store, probe, routes, options) => fastifyApp(store, probe, routes, options, {}),
  idIn: (value) => decodeURIComponent(value).split('.')[0],
}

/** @type {import('../site.js').Adapter} */
export const fastifySessionInMemory = {
  ...fastifySession,
  configured: 'with its own `MemoryStore`',
  openStore: () => new MemoryStore(),
}

/** @type {import('../site.js').Adapter} */
export const fastifySessionLazy = {
  ...fastifySession,
  configured: 'with `saveUninitialized: false`',
  listen: (store, probe, routes, options) => fastifyApp(store, probe, routes, options, { saveUninitialized: false }),
}

async function fastifyApp(store, probe, routes, { keys, maxAge, sameSite, rolling }, more) {
  const app = fastify()
  app.register(cookie)
  app.register(session, {
    secret: [...keys],
    store: probed(store, probe),
    cookie: { secure: false, ...(maxAge && { maxAge }), ...(sameSite && { sameSite }) },
    ...(rolling && { rolling }),
    ...more,
  })
  for (const [path, route] of Object.entries(routes)) {
    app.get(path, async (request, reply) => {
      const body = await route({
        get data() {
          return request.session
        },
        async login(user) {
          await request.session.regenerate()
          request.session.user = user
        },
        logout: () => request.session.destroy(),
        async increment(key) {
          await request.session.reload()
          request.session[key] = (request.session[key] ?? 0) + 1
          await request.session.save()
        },
        setCookie: (name, value) => reply.setCookie(name, value),
      })
      return reply.type('application/json').send(JSON.stringify(body))
    })
  }
  await app.ready()
  return (request, response) => app.routing(request, response)
}

function probed(store, probe) {
  return {
    get: (id, callback) => probe.tell('read', (done) => store.get(id, done), [], callback),
    set: (id, session, callback) =>
      probe.tell('write', (done) => store.set(id, session, done), [id, session], callback),
    destroy: (id, callback) => probe.tell('delete', (done) => store.destroy(id, done), [], callback),
  }
}
