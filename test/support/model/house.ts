// Requests without a network, to an app whose handlers the worlds of both models choose.
import { createHash } from 'node:crypto'
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import Koa, { type Context } from 'koa'
import type { SessionManager, SessionMiddleware } from '../../../src/index.ts'

/** An app: the path of a request is the number of its handler. */
export interface House<Data extends object> {
  /** Resolves to what the request failed with, if it did. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Promise<unknown>
  readonly sessions: SessionMiddleware<Data>
}

export type Handler<Data extends object> = (session: SessionManager<Data>) => Promise<void>

export interface Answer {
  readonly status: number
  /** What the request failed with, if it did. */
  readonly error?: unknown
  /** The value of our cookie, if it was set; empty if it was cleared. */
  readonly cookie: string | undefined
  /** In seconds. */
  readonly maxAge: number | undefined
}

// Nothing is sent: the socket is only asked whether it is encrypted.
const SOCKET = { remoteAddress: '127.0.0.1' } as unknown as Socket

export function houseOf<Data extends object>(
  sessions: SessionMiddleware<Data>,
  handlers: readonly Handler<Data>[],
): House<Data> {
  const app = new Koa()
  const errors = new WeakMap<IncomingMessage, unknown>()
  app.on('error', (error: unknown, { req }: Context) => errors.set(req, error))
  app.use(sessions)
  app.use(async (ctx: Context) => {
    // What `sessions` put there.
    await handlers[Number(ctx.path.slice(1))]?.(ctx.state.session as unknown as SessionManager<Data>)
    ctx.body = ''
  })
  const callback = app.callback()
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    // Koa's own types leave out that it waits for the answer.
    await callback(request, response)
    return errors.get(request)
  }
  return { answer, sessions }
}

export function requestTo(handler: number, cookie: string | undefined): IncomingMessage {
  const request = new IncomingMessage(SOCKET)
  request.method = 'GET'
  request.url = `/${handler}`
  if (cookie !== undefined) request.headers.cookie = `sid=${cookie}`
  return request
}

/** `fail` is called where two cookies were set. */
export async function answerOf(
  answer: House<object>['answer'] | undefined,
  request: IncomingMessage,
  fail: () => void,
): Promise<Answer> {
  const response = new ServerResponse(request)
  const error = await answer?.(request, response)
  const lines = [response.getHeader('set-cookie') ?? []].flat() as string[]
  if (lines.length > 1) fail()
  const [, cookie, rest = ''] = /^sid=([^;]*)(.*)$/.exec(lines[0] ?? '') ?? []
  const maxAge = /; Max-Age=(\d+)/.exec(rest)?.[1]
  return { status: response.statusCode, error, cookie, maxAge: maxAge === undefined ? undefined : Number(maxAge) }
}

export function statusOf(error: unknown): number {
  return typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : 500
}

export function keyIn(cookie: string): string {
  return createHash('sha256')
    .update(cookie.slice(0, cookie.lastIndexOf('.')))
    .digest('base64url')
}
