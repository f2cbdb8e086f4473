// A process after a deploy, which takes over the sessions of koa-session or express-session.
import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import Koa from 'koa'
import { MemoryStore, session, type SessionManager, type SessionOptions } from '../../src/index.ts'
import { takeOver, type OldSessions, type TakeOverOptions } from '../../src/migrate.ts'
import { KEYS, served, type Answer, type Running } from './app.ts'
import { valueIn } from './mounted.ts'
import { DAY } from './old-sessions.ts'

export interface Visitor {
  cart?: unknown
  n?: number
  user?: string
}

export interface Site extends Running {
  /** How often goOn ran. */
  readonly copies: () => number
}

/** Takes the cart and the user over. */
export const goOn: TakeOverOptions<Visitor>['goOn'] = async (current, { user, cart }) => {
  if (cart !== undefined) current.data.cart = cart
  if (typeof user === 'string') await current.signIn(user)
}

/** Changes the session by the path, and shows its owner and data. */
export const pages: Koa.Middleware = async (ctx) => {
  const current = ctx.state.session as SessionManager<Visitor>
  if (ctx.path === '/logout') await current.destroy()
  if (ctx.path === '/other') await current.signIn('eve')
  if (ctx.path === '/ada') await current.signIn('ada')
  if (ctx.path === '/again') await current.regenerate()
  if (ctx.path === '/hold') {
    await current.regenerate()
    await new Promise((resolve) => ctx.app.emit('hold', resolve))
  }
  if (ctx.path === '/stream') {
    ctx.respond = false
    ctx.res.write('began')
    ctx.app.emit('stream', current.signal)
    await once(ctx.res, 'close')
    ctx.app.emit('streamed')
    return
  }
  if (ctx.path === '/count') await current.update((data) => (data.n = (data.n ?? 0) + 1))
  if (ctx.path === '/become' || ctx.path === '/fail') current.data.user = 'eve'
  if (ctx.path === '/forget' || ctx.path === '/refuse') delete current.data.user
  if (ctx.path.startsWith('/null')) ctx['session'] = null
  if (ctx.path.startsWith('/null/anew')) ctx['session'] = { n: 1 }
  if (ctx.path.startsWith('/null/anew/saved') || ctx.path === '/save') await current.save()
  const inner = { '/null/anew/forwarded': '/save', '/forwarded': '/null/anew' }[ctx.path]
  if (inner !== undefined) {
    ctx.respond = false
    ctx.req.url = inner
    return ctx.app.callback()(ctx.req, ctx.res)
  }
  if (ctx.path === '/fail' || ctx.path === '/null/fail' || ctx.path === '/null/anew/saved/fail')
    throw new Error('no database')
  if (ctx.path === '/refuse' || ctx.path === '/null/refuse') ctx.throw(401)
  if (ctx.path === '/life') ctx.body = String(current.maxAge)
  else ctx.body = ctx.path === '/logout' ? 'done' : `${current.owner ?? 'nobody'} ${JSON.stringify(current.data)}`
}

/** A process after the deploy. */
export async function after(
  t: ExecutionContext,
  from: OldSessions,
  { store = new MemoryStore(), ...options }: SessionOptions<Visitor> = {},
  over: Partial<TakeOverOptions<Visitor>> = {},
): Promise<Site> {
  let copies = 0
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS], store, logger: {}, ...options }))
  app.use(
    takeOver<Visitor>({
      from,
      until: Date.now() + 30 * DAY,
      overlap: '1d',
      goOn: (current, old) => {
        copies++
        return goOn(current, old)
      },
      ...over,
    }),
  )
  app.use(pages)
  const running = await served(t, app)
  return { ...running, browser: () => running.browser(), copies: () => copies }
}

export function ours(answer: Answer): string {
  return `sid=${valueIn(answer.setCookie.find((line) => line.startsWith('sid=')))}`
}

export const ada = (): [string, Record<string, unknown>] => [
  'k1',
  { user: 'ada', cart: ['book'], _expire: Date.now() + DAY, _maxAge: DAY },
]
