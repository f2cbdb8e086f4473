// What the compiler must know of ctx.state.session in plain Koa, in koa-router and in @koa/router.
import ScopedRouter from '@koa/router'
import Koa from 'koa'
import Router from 'koa-router'
import {
  session,
  type Duration,
  type KeepOptions,
  type SessionData,
  type SessionManager,
  type SessionMiddleware,
  type SessionOptions,
  type SessionState,
} from 'koa-fastsession'
import { sessionCookie, sessionOf } from 'koa-fastsession/testing'

interface Visitor {
  name?: string
}

// Plain Koa: no type argument is needed to find the manager.
export const plain = new Koa()
plain.use(session({ keys: ['a secret'] }))
plain.use((ctx) => {
  ctx.state.session satisfies SessionManager
  ctx.state.session.data satisfies SessionData
  // @ts-expect-error -- the manager has no such member
  ctx.state.session.destory satisfies unknown
})
// ... and a middleware that is chained knows its data.
plain.use(session<Visitor>()).use((ctx) => {
  ctx.state.session.data.name satisfies string | undefined
})
// A middleware written apart from any app.
export const apart: Koa.Middleware = async (ctx, next) => {
  ctx.state.session.publicId satisfies string
  await next()
}

// An app that says what its sessions hold.
export const typed = new Koa<SessionState<Visitor>>()
typed.use(session<Visitor>({ keys: ['a secret'] }))
typed.use((ctx) => {
  ctx.state.session.data.name satisfies string | undefined
  // @ts-expect-error -- a key has its type
  ctx.state.session.data.name = 1
})

// koa-router, whose handlers know no state but the one that they are told.
export const router = new Router<SessionState<Visitor>>()
router.get('/', (ctx) => {
  ctx.state.session.data.name satisfies string | undefined
  ctx.params satisfies Record<string, string | undefined>
  // @ts-expect-error -- a key has its type
  ctx.state.session.data.name = 1
  // @ts-expect-error -- SessionState holds the session alone
  ctx.state.user satisfies unknown
})
typed.use(router.routes()).use(router.allowedMethods())
plain.use(router.routes())

// @koa/router
export const scoped = new ScopedRouter<SessionState<Visitor>>()
scoped.get('/', (ctx) => {
  ctx.state.session.data.name satisfies string | undefined
  // @ts-expect-error -- a key has its type
  ctx.state.session.data.name = 1
})
typed.use(scoped.routes()).use(scoped.allowedMethods())

export const untold = new ScopedRouter()
untold.get('/', (ctx) => {
  ctx.state.session satisfies SessionManager
  // @ts-expect-error -- SessionData was not extended here
  ctx.state.session.data.name satisfies unknown
})
plain.use(untold.routes())

// The middleware serves one route as well as a whole app.
router.get('/account', session<Visitor>(), (ctx) => {
  ctx.state.session.data.name satisfies string | undefined
})

// A state key of another name types that name, and no other.
const admin = session({ stateKey: 'admin', cookie: { name: 'admin' } })
admin satisfies SessionMiddleware<SessionData, 'admin'>
new Koa<object>().use(admin).use((ctx) => {
  ctx.state.admin satisfies SessionManager
  // @ts-expect-error -- the session stands under another name
  ctx.state.session satisfies unknown
})
new Koa<object>().use(session<Visitor, 'admin'>({ stateKey: 'admin' })).use((ctx) => {
  ctx.state.admin.data.name satisfies string | undefined
})
// One that the compiler does not know types nothing.
declare const options: SessionOptions<Visitor>
declare const someKey: string
for (const unknown of [session<Visitor>({ stateKey: someKey }), session(options)]) {
  void (unknown satisfies SessionMiddleware<Visitor, string>).list('ada')
  new Koa<object>().use(unknown).use((ctx) => {
    // @ts-expect-error -- it may stand anywhere
    ctx.state.session satisfies unknown
  })
}
// The app may say it itself.
new Koa<SessionState<Visitor, 'admin'>>().use(session<Visitor>({ stateKey: 'admin' })).use((ctx) => {
  ctx.state.admin.data.name satisfies string | undefined
})
// Whatever its key and its data, it is a middleware of any app and any router.
export const middlewares: Koa.Middleware[] = [
  admin,
  session<Visitor>(),
  session<{ other: Date }>({ stateKey: 'other' }),
]
router.use(admin)
scoped.use(admin)
// A function of the app's own takes the middleware of any data; one of any state key says so.
declare function report(sessions: SessionMiddleware): void
declare function reportAny(sessions: SessionMiddleware<object, string>): void
report(session<{ cart: string[] }>())
reportAny(session<{ cart: string[] }, 'admin'>({ stateKey: 'admin' }))
// @ts-expect-error -- its session stands under another name
report(admin)
// So do the helpers for tests.
const adminOfVisitors = session<Visitor, 'admin'>({ stateKey: 'admin' })
void sessionCookie(adminOfVisitors, { name: 'Ada' })
void sessionOf(adminOfVisitors, 'admin=...').then((found) => found?.data?.name satisfies string | undefined)
// @ts-expect-error -- data has no such key
void sessionCookie(adminOfVisitors, { nmae: 'Ada' })
declare function reportVisitors(sessions: SessionMiddleware<Visitor>): void
// @ts-expect-error -- a key has its type
reportVisitors(session<{ name: number }>())
export const composed: (context: Koa.Context, next: Koa.Next) => unknown = admin

// Durations are known by their texts.
session({ maxAge: '30d', idleTimeout: '1.5 h', absoluteTimeout: false, storeTimeout: 500, sweepInterval: '10m' })
'7d' satisfies Duration
// @ts-expect-error -- no such unit
session({ maxAge: '30 days' })
// @ts-expect-error -- what koa-session calls 'session' is 0
session({ maxAge: 'session' })

// `undefined` is as good as left out, also under exactOptionalPropertyTypes.
session({
  keys: undefined,
  store: undefined,
  cookie: { name: undefined, secure: undefined },
  stateKey: undefined,
}) satisfies SessionMiddleware
export const keeps: KeepOptions[] = [{ keep: undefined }]
// ... but where an owner or an exception is meant, nothing fails open.
// @ts-expect-error -- an owner that is undefined
void session().destroy('a public id', { owner: undefined })
// @ts-expect-error -- an exception that is undefined
void session().destroyAll('ada', { except: undefined })
