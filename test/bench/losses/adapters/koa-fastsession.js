import { MemoryStore, session } from '../../../../dist/index.js'
import { koaApp } from './koa.js'

/** @type {import('../site.js').Adapter} */
export const koaFastsession = {
  name: 'koa-fastsession',
  configured:
    '`session()` with its defaults and its `MemoryStore`. Login is `signIn(user)`, logout `destroy()`, an increment `update()`.',
  openStore: () => new MemoryStore(),
  listen: (store, probe, routes, { keys, maxAge, rolling, now }) =>
    koaApp(
      keys,
      (app) =>
        app.use(
          session({
            store: probed(store, probe),
            sweepInterval: false,
            now,
            ...(maxAge && { maxAge }),
            ...(rolling && { rolling }),
          }),
        ),
      routes,
      ({ state: { session } }) => ({
        get data() {
          return session.data
        },
        async login(user) {
          await session.signIn(user)
          session.data.user = user
        },
        logout: () => session.destroy(),
        increment: (key) => session.update((data) => void (data[key] = (data[key] ?? 0) + 1)),
      }),
    ),
  idIn: (value) => value.split('.')[0],
}

/** @type {import('../site.js').Adapter} */
export const koaFastsessionForADay = {
  ...koaFastsession,
  configured: 'with `maxAge` of a day',
  listen: (store, probe, routes, options) =>
    koaFastsession.listen(store, probe, routes, { maxAge: 86_400_000, ...options }),
}

function probed(store, probe) {
  return {
    create: (record, now) => probe.ask('write', () => store.create(record, now), [record]),
    read: (key, now) => probe.ask('read', () => store.read(key, now)),
    replace: (record, version, now) => probe.ask('write', () => store.replace(record, version, now), [record]),
    touch: (...touch) => probe.ask('touch', () => store.touch(...touch)),
    delete: (key) => probe.ask('delete', () => store.delete(key)),
    list: (owner, now) => probe.ask('read', () => store.list(owner, now)),
  }
}
