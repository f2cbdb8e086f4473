// An app that is called without a socket, for tests that send too many requests for a loopback connection.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import Koa, { type Context } from 'koa'
import {
  MemoryStore,
  session,
  type SessionManager,
  type SessionMiddleware,
  type SessionOptions,
} from '../../src/index.ts'
import { KEYS } from './app.ts'
import { FaultyStore } from './faults.ts'

/** What the sessions of these tests hold: anything. */
export type Bag = Record<string, unknown>

export interface Reply<Result> {
  readonly status: number
  readonly setCookie: readonly string[]
  /** What the handler returned; `undefined` if it threw or never ran. */
  readonly result: Result | undefined
}

export interface Quick {
  readonly middleware: SessionMiddleware<Bag>
  readonly store: FaultyStore
  /** Errors that reached the app. */
  readonly errors: unknown[]
  /** Sends a request with exactly this Cookie header, served by `handler`. */
  ask<Result>(cookie: string | undefined, handler: Handler<Result>): Promise<Reply<Result>>
}

const SOCKET = new Socket()

type Handler<Result> = (session: SessionManager<Bag>, ctx: Context) => Result | Promise<Result>

interface Turn {
  readonly handler: Handler<unknown>
  result: unknown
}

export function quick(options: SessionOptions<Bag> = {}): Quick {
  const store = new FaultyStore(options.store ?? new MemoryStore())
  // test/scenes/outage.test.ts tests the deadline. Elsewhere a slow machine must not cause an outage.
  const middleware = session<Bag>({ sweepInterval: false, logger: {}, storeTimeout: '1m', ...options, store })
  const waiting = new WeakMap<IncomingMessage, Turn>()
  const errors: unknown[] = []
  const app = new Koa()
  app.keys = [...KEYS]
  app.on('error', (error: unknown) => errors.push(error))
  app.use(middleware)
  app.use(async (ctx) => {
    const turn = waiting.get(ctx.req)
    if (turn !== undefined) turn.result = await turn.handler(ctx.state.session as unknown as SessionManager<Bag>, ctx)
    ctx.body = ''
  })
  const callback = app.callback()
  return {
    middleware,
    store,
    errors,
    async ask<Result>(cookie: string | undefined, handler: Handler<Result>) {
      const request = new IncomingMessage(SOCKET)
      request.method = 'GET'
      request.url = '/'
      if (cookie !== undefined) request.headers.cookie = cookie
      const response = new ServerResponse(request)
      const turn: Turn = { handler, result: undefined }
      waiting.set(request, turn)
      // The callback returns a promise of the response, which Koa's types do not say.
      await callback(request, response)
      // The cast is safe: only the handler's result is assigned.
      return {
        status: response.statusCode,
        setCookie: [response.getHeader('set-cookie') ?? []].flat() as string[],
        result: turn.result as Result | undefined,
      }
    },
  }
}

/** The `name=value` of the session cookie that a reply sets. */
export function cookieOf({ setCookie }: Reply<unknown>): string {
  return setCookie[0]?.split(';')[0] ?? ''
}
