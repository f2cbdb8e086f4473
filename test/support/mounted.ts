// An app with one session middleware over a counted MemoryStore, and the events that it sends, for tests over HTTP.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { request } from 'node:http'
import type { ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import {
  MemoryStore,
  session,
  type EventMessage,
  type SessionManager,
  type SessionMiddleware,
  type SessionOptions,
} from '../../src/index.ts'
import { publicIdOf } from '../../src/cookie/id.ts'
import { served, type Browser, type Running } from './app.ts'
import { FaultyStore } from './faults.ts'

/** What the sessions of these tests hold. */
export interface Things {
  n?: number
  name?: string
  list?: number[]
  nested?: { a?: number; b?: { c?: number } }
  thing?: unknown
  other?: unknown
}

export type Session = SessionManager<Things>

/** The handler of a path. A result other than `undefined` becomes the body. */
export type Handler = (session: Session, ctx: Context) => unknown

export interface Mounted extends Omit<Running, 'browser'> {
  readonly browser: () => Browser
  readonly middleware: SessionMiddleware<Things>
  readonly store: FaultyStore
}

/** Serves handlers by path behind `session(options)` until the test ends. */
export async function mounted(
  t: ExecutionContext,
  options: SessionOptions<Things>,
  handlers: Readonly<Record<string, Handler>>,
): Promise<Mounted> {
  const store = new FaultyStore(options.store ?? new MemoryStore())
  // test/scenes/outage.test.ts tests the deadline. Elsewhere a slow machine must not cause an outage.
  const middleware = session<Things>({ storeTimeout: '1m', ...options, store })
  const app = new Koa()
  app.use(middleware)
  app.use(answering(handlers, options.stateKey))
  const running = await served(t, app)
  return { ...running, browser: () => running.browser(), middleware, store }
}

/** The last middleware: runs the handler of the path. */
export function answering(handlers: Readonly<Record<string, Handler>>, stateKey = 'session'): Koa.Middleware {
  return async (ctx) => {
    const handler = handlers[ctx.path]
    if (handler === undefined) return
    const body: unknown = await handler(ctx.state[stateKey as 'session'], ctx)
    if (ctx.respond !== false && !ctx.res.headersSent) ctx.body ??= body ?? 'done'
  }
}

/** An event and its message. */
export type Heard = readonly [name: string, message: EventMessage]

/** Collects the events of these names until the test ends. Channels are global to the process: only for serial tests. */
export function hear(t: ExecutionContext, ...names: readonly string[]): Heard[] {
  const heard: Heard[] = []
  for (const name of names) {
    const listen = (message: unknown): void => void heard.push([name, message as EventMessage])
    subscribe(`koa-fastsession:${name}`, listen)
    t.teardown(() => void unsubscribe(`koa-fastsession:${name}`, listen))
  }
  return heard
}

/** The value of the session cookie in a Set-Cookie line. */
export function valueIn(line: string | undefined): string {
  return /^[^=]+=([^;]*)/.exec(line ?? '')?.[1] ?? ''
}

/** The record's key of the session that a Cookie header or a Set-Cookie line names. */
export function keyIn(cookie: string | undefined): string {
  return publicIdOf(valueIn(cookie).split('.')[0] ?? '')
}

/** One request with a Host header of its own, which fetch would not send. */
export function ask(url: string, headers: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    request(url, { headers, agent: false }, (response) => response.resume().on('end', resolve))
      .on('error', reject)
      .end()
  })
}
