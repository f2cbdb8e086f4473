import { promisify } from 'node:util'
import express from 'express'
import session from 'express-session'

/** @type {import('../site.js').Adapter} */
export const expressSession = {
  name: 'express-session',
  configured:
    '`resave: false`, `saveUninitialized: false`, its own `MemoryStore`, which keeps JSON. Login is `regenerate`, then `save`; logout is `save` without the user, then `regenerate` (both as in its README); an increment is `reload`, then `save`.',
  openStore: () => new session.MemoryStore(),
  listen(store, probe, routes, { keys, maxAge, sameSite, rolling }) {
    const app = express()
    // Express prints errors unless it is told that this is a test.
    app.set('env', 'test')
    app.use(
      session({
        secret: [...keys],
        resave: false,
        saveUninitialized: false,
        store: new ProbedStore(store, probe),
        cookie: { ...(maxAge && { maxAge }), ...(sameSite && { sameSite }) },
        ...(rolling && { rolling }),
      }),
    )
    app.use(async (request, response) => {
      const ask = (method) => promisify(request.session[method]).call(request.session)
      const body = await routes[request.path]({
        get data() {
          return request.session
        },
        async login(user) {
          await ask('regenerate')
          request.session.user = user
          await ask('save')
        },
        async logout() {
          request.session.user = null
          await ask('save')
          await ask('regenerate')
        },
        async increment(key) {
          await ask('reload')
          request.session[key] = (request.session[key] ?? 0) + 1
          await ask('save')
        },
        setCookie: (name, value) => response.cookie(name, value),
      })
      response.json(body)
    })
    return app
  },
  idIn: (value) => decodeURIComponent(value).slice('s:'.length).split('.')[0],
}

/** @type {import('../site.js').Adapter} */
export const expressSessionForADay = {
  ...expressSession,
  configured: 'with `cookie.maxAge` of a day',
  listen: (store, probe, routes, options) =>
    expressSession.listen(store, probe, routes, { maxAge: 86_400_000, ...options }),
}

class ProbedStore extends session.Store {
  #store
  #probe

  constructor(store, probe) {
    super()
    this.#store = store
    this.#probe = probe
  }

  get(id, callback) {
    this.#probe.tell('read', (done) => this.#store.get(id, done), [], callback)
  }

  set(id, session, callback) {
    this.#probe.tell('write', (done) => this.#store.set(id, session, done), [id, session], callback)
  }

  touch(id, session, callback) {
    this.#probe.tell('touch', (done) => this.#store.touch(id, session, done), [], callback)
  }

  destroy(id, callback) {
    this.#probe.tell('delete', (done) => this.#store.destroy(id, done), [], callback)
  }
}
