// What the compiler must know of ctx.state.session in plain Koa, in koa-router and in @koa/router.
import ScopedRouter from '@koa/router'
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionData, type SessionManager, type SessionState } from 'koa-fastsession'

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
