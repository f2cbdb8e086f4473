// Shared by the tests with other packages: an app behind session({ koaSession: true }), its data, and forms.
import type { ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { MemoryStore, session, type SessionMiddleware, type SessionOptions } from '../../src/index.ts'
import { served, type Answer, type Browser, type Running } from './app.ts'
import { FaultyStore } from './faults.ts'

type Callback = (error?: unknown) => void

/** `ctx.session` as in koa-session. */
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
  manuallyCommit(): Promise<void>
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
  // Added at run time: Koa's types do not declare it.
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
  /** The warnings that the middleware logged. */
  readonly warnings: string[]
}

/** The last middleware: runs the handler of the path. Its result becomes the body. */
export function answering(handlers: Handlers): Koa.Middleware {
  return async (ctx) => {
    const handler = handlers[ctx.path]
    if (handler === undefined) return
    const body: unknown = await handler(ctx)
    if (ctx.respond !== false) ctx.body ??= body ?? 'done'
  }
}

/** Serves middlewares behind `session({ koaSession: true, ...options })` until the test ends. */
export async function ecosystem(
  t: ExecutionContext,
  options: SessionOptions,
  ...above: Koa.Middleware[]
): Promise<Ecosystem> {
  const store = new FaultyStore(options.store ?? new MemoryStore())
  const warnings: string[] = []
  const logger = { warn: (line: string) => void warnings.push(line) }
  // test/scenes/outage.test.ts tests the deadline. Elsewhere a slow machine must not cause an outage.
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
