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
  'merge',
  'conflict',
  'gone',
  'sign-in',
  'regenerate',
  'destroy',
  'bind',
  'store-error',
] as const
const COUNTED: ReadonlySet<string | symbol> = new Set([
  'create',
  'read',
  'replace',
  'touch',
  'delete',
  'list',
  'listKeys',
  'scan',
])
const MOST_REMEMBERED = 1000

/** One request, as far as it has got. */
export interface Entry {
  readonly request: string
  readonly calls: Map<string, number>
  readonly events: string[]
  /** How many keys of data it found changed by other requests, and kept. */
  merged: number
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
      const entry = this.#running.getStore()
      if (entry === undefined) return
      const { reason, keys = [] } = message as EventMessage
      if (name === 'merge') entry.merged += keys.length
      entry.events.push(reason === undefined ? name : `${name} (${reason})`)
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
      const request = `${ctx.method} ${ctx.path}`
      const entry: Entry = { request, calls: new Map(), events: [], merged: 0, cookie: undefined }
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
    const ask = (verb: string): void => {
      const calls = this.#running.getStore()?.calls
      calls?.set(verb, (calls.get(verb) ?? 0) + 1)
      if (Date.now() < this.#unpluggedUntil) throw new Error('the store was unplugged')
    }
    // Whatever verbs a store has, optional ones too, this one has.
    return new Proxy(store, {
      get(target, name) {
        const verb: unknown = Reflect.get(target, name)
        if (typeof verb !== 'function') return verb
        return (...args: unknown[]): unknown => {
          if (COUNTED.has(name)) ask(String(name))
          return Reflect.apply(verb, target, args)
        }
      },
    })
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
