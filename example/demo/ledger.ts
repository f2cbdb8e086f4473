// What each request asked of the store, which events it caused, and what became of the cookie: for the panel. It also is
// the switch that makes the store fail.
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Context, Next } from 'koa'
import type { EventMessage, SessionManager, SessionStore } from 'koa-fastsession'

const EVENTS = [
  'create',
  'resume',
  'reject',
  'commit',
  'conflict',
  'gone',
  'regenerate',
  'destroy',
  'store-error',
] as const
const MOST_REMEMBERED = 1000

/** One request, as far as it has got. */
export interface Entry {
  readonly request: string
  readonly calls: Map<string, number>
  readonly events: string[]
  /** Our Set-Cookie line without its value; `undefined` until the headers leave, and where there was none. */
  cookie: string | undefined
}

export class Ledger {
  readonly #running = new AsyncLocalStorage<Entry>()
  /** The last finished request of each session, by public id; the oldest gives way. */
  readonly #last = new Map<string, Entry>()
  readonly #cookieName: string
  #unpluggedUntil = 0
  readonly #listeners = EVENTS.map((name) => ({
    channel: `koa-fastsession:${name}`,
    // A channel publishes where the event happens: in the request that caused it.
    hear: (message: unknown) => {
      const { reason } = message as EventMessage
      this.#running.getStore()?.events.push(reason === undefined ? name : `${name} (${reason})`)
    },
  }))

  constructor(cookieName: string) {
    this.#cookieName = cookieName
    for (const { channel, hear } of this.#listeners) subscribe(channel, hear)
  }

  close(): void {
    for (const { channel, hear } of this.#listeners) unsubscribe(channel, hear)
  }

  /** To be mounted outside the sessions: the commit comes after the handlers, and belongs to the request. */
  middleware() {
    return (ctx: Context, next: Next): Promise<unknown> => {
      const entry: Entry = { request: `${ctx.method} ${ctx.path}`, calls: new Map(), events: [], cookie: undefined }
      ctx.res.once('finish', () => {
        entry.cookie = this.#cookieIn(ctx.res.getHeader('Set-Cookie'))
        this.#remember(ctx, entry)
      })
      return this.#running.run(entry, next)
    }
  }

  /** The request that is running. */
  current(): Entry | undefined {
    return this.#running.getStore()
  }

  /** The last finished request of a session. */
  last(publicId: string): Entry | undefined {
    return this.#last.get(publicId)
  }

  /** The same store, whose calls are counted, and which fails while it is unplugged. */
  watch(store: SessionStore): SessionStore {
    const call = <Result>(verb: string, ask: () => Result): Result => {
      const calls = this.#running.getStore()?.calls
      calls?.set(verb, (calls.get(verb) ?? 0) + 1)
      if (Date.now() < this.#unpluggedUntil) throw new Error('the store was unplugged')
      return ask()
    }
    return {
      create: (record, now) => call('create', () => store.create(record, now)),
      read: (key, now) => call('read', () => store.read(key, now)),
      replace: (record, version, now) => call('replace', () => store.replace(record, version, now)),
      touch: (key, version, seenAt, expiresAt, now) =>
        call('touch', () => store.touch(key, version, seenAt, expiresAt, now)),
      delete: (key) => call('delete', () => store.delete(key)),
      list: (owner, now) => call('list', () => store.list?.(owner, now) ?? []),
      deleteExpired: (now, limit) => store.deleteExpired?.(now, limit) ?? 0,
      close: () => store.close?.(),
    }
  }

  unplug(milliseconds: number): void {
    this.#unpluggedUntil = Date.now() + milliseconds
  }

  #cookieIn(header: number | string | string[] | undefined): string | undefined {
    const line = [header].flat().find((one) => String(one).startsWith(`${this.#cookieName}=`))
    return line === undefined ? undefined : String(line).replace(/=[^;]*/, (value) => (value === '=' ? '=' : '=…'))
  }

  #remember({ state }: Context, entry: Entry): void {
    const { session } = state as { session?: SessionManager }
    const publicId = session?.toJSON().publicId
    if (publicId === undefined) return
    this.#last.delete(publicId)
    this.#last.set(publicId, entry)
    const [oldest] = this.#last.keys()
    if (this.#last.size > MOST_REMEMBERED && oldest !== undefined) this.#last.delete(oldest)
  }
}
