// What the tests with other packages share: an app below session({ koaSession: true }), its bag of data, and forms.
import type { ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { MemoryStore, session, type SessionMiddleware, type SessionOptions } from '../../src/index.ts'
import { served, type Answer, type Browser, type Running } from './app.ts'
import { FaultyStore } from './faults.ts'

type Callback = (error?: unknown) => void

/** `ctx.session`, as koa-session's users know it. */
export interface Bag {
  [key: string]: unknown
  readonly isNew: boolean
  readonly populated: boolean
  readonly length: number
  maxAge: number | string
  save(): Promise<void>
  save(callback: Callback): void
  regenerate(): Promise<void>
  regenerate(callback: Callback): void
  toJSON(): Record<string, unknown>
}

/** koa-passport's additions to a context, and `ctx.session`. */
export interface Visitor {
  session: Bag | null
  flash: { get(): unknown; set(value: unknown): void }
  logout(options?: object): Promise<void>
  login(user: object, options?: object): Promise<void>
  isAuthenticated(): boolean
}

/** A context with what packages put there. */
export function visitorOf(ctx: Context): Visitor {
  // Put there at run time; the types of Koa do not know it.
  return ctx as unknown as Visitor
}

export function bagOf(ctx: Context): Bag {
  const { session } = visitorOf(ctx)
  if (session === null) throw new Error('ctx.session is null')
  return session
}

export type Handlers = Readonly<Record<string, (ctx: Context) => unknown>>

export interface Ecosystem extends Running {
  readonly middleware: SessionMiddleware<Record<string, unknown>>
  readonly store: FaultyStore
  /** What the middleware's logger was warned of. */
  readonly warnings: string[]
}

/** The last middleware: runs the handler of the path; what it returns becomes the body. */
export function answering(handlers: Handlers): Koa.Middleware {
  return async (ctx) => {
    const handler = handlers[ctx.path]
    if (handler === undefined) return
    const body: unknown = await handler(ctx)
    if (ctx.respond !== false) ctx.body ??= body ?? 'done'
  }
}

/** Serves middlewares below `session({ koaSession: true, ...options })` until the test ends. */
export async function ecosystem(
  t: ExecutionContext,
  options: SessionOptions,
  ...above: Koa.Middleware[]
): Promise<Ecosystem> {
  const store = new FaultyStore(options.store ?? new MemoryStore())
  const warnings: string[] = []
  const logger = { warn: (line: string) => void warnings.push(line) }
  // The deadline is the business of test/scenes/outage.test.ts; elsewhere a slow machine must not be an outage.
  const defaults = { koaSession: true, logger, storeTimeout: '1m' } as const
  const middleware = session<Record<string, unknown>>({ ...defaults, ...options, store })
  const app = new Koa()
  app.use(middleware)
  for (const one of above) app.use(one)
  const running = await served(t, app)
  return { ...running, middleware, store, warnings }
}

/** Sends a form. */
export function post(browser: Browser, path: string, fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return browser.get(path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
}
