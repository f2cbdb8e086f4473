// What is known of a request before its session is loaded: the attributes of its cookie, and the keys of its app.
import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { hasShortSecret, keyring, KEYS_RULE, type Keyring, type LiveKeyring } from '../cookie/keyring.ts'
import { invalidMix, invalidType } from '../errors.ts'
import type { Events } from '../events.ts'
import { warnOfShortSecret, watchForKoaSession } from '../notices.ts'
import type { Settings } from '../settings.ts'
import { isObject } from '../store.ts'
import type { RequestInfo } from './core.ts'

type App = Context['app']

export class Requests {
  readonly #settings: Settings
  readonly #events: Events
  /** The app whose request came last. */
  #app: App | undefined
  #appKeys: unknown
  #appKeyring: LiveKeyring | undefined

  constructor(settings: Settings, events: Events) {
    this.#settings = settings
    this.#events = events
  }

  /** Remembers the app: requests outside its chain need its keys and contexts. */
  meet(app: App): void {
    if (this.#app === app) return
    this.#app = app
    if (!this.#settings.koaSession) watchForKoaSession(app.context, this.#events)
  }

  /** The facts of a request in Koa's chain, or without `ctx` outside it. Without `isPassive`, `options.passive` is asked. */
  infoOf(request: IncomingMessage, ctx: Context | undefined, isPassive?: boolean): RequestInfo {
    const { cookie: given, keys, passive } = this.#settings
    if (ctx !== undefined && this.#app !== ctx.app) this.meet(ctx.app)
    const cookie = typeof given === 'function' ? given(ctx ?? this.contextOf(request)) : given
    const ring = keys?.() ?? this.#keyringOf()
    // Before the first Koa request there is no ctx to ask with, and the request counts as a use.
    const canAsk = ctx !== undefined || this.#app !== undefined
    // The browser's own refresh, which an inner session() answers, is no use of this session either. The header alone would let a
    // thief hide every use.
    const isRefresh = 'sec-secure-session-id' in request.headers && /^[^?]*\/refresh$/.test(request.url ?? '')
    const asked = isPassive ?? (isRefresh || (canAsk && passive?.(ctx ?? this.contextOf(request)) === true))
    // The ctx of a socket of koa-websocket has no response, so its request is as one outside the chain.
    return { request, cookie, keyring: ring, ctx: ctx?.res && ctx, isPassive: asked }
  }

  /** A context for a request outside the chain, for options that are functions of ctx. */
  contextOf(request: IncomingMessage): Context {
    if (this.#app === undefined) {
      throw invalidMix(
        'an option is a function of ctx: run() needs a Koa request before, as sessionCookie() does, or the option as a value (cookie as an object)',
      )
    }
    return this.#app.createContext(request, new ServerResponse(request))
  }

  /** The host of a request outside the chain; behind a proxy, the host that the browser asked for. */
  hostOf(request: IncomingMessage): string {
    const { host, ':authority': authority = host } = request.headers
    return this.#app === undefined ? String(authority ?? '') : this.contextOf(request).host
  }

  #keyringOf(): Keyring {
    if (this.#app === undefined) {
      throw invalidMix(
        'options.keys must be given to session() when run() or sessionCookie() is used before the first request: app.keys is not known yet',
      )
    }
    // Koa leaves it undefined until the app sets it.
    const keys: unknown = this.#app.keys
    if (this.#appKeyring === undefined || keys !== this.#appKeys) {
      if (keys === undefined) {
        throw invalidType(
          'options.keys or app.keys',
          KEYS_RULE,
          keys,
          'give keys to session(), or set app.keys before the first request; below koa-mount the keys of the outer app count',
        )
      }
      this.#appKeyring = keyring(keys, 'app.keys')
      this.#appKeys = keys
      if (hasShortSecret(keys)) warnOfShortSecret(this.#events)
    }
    return this.#appKeyring()
  }
}

/** Whether `run()` can read the cookie of a request. */
export function isRequest(request: unknown): request is IncomingMessage {
  if (!isObject(request) || !('headers' in request)) return false
  const { headers } = request
  if (!isObject(headers) || Array.isArray(headers)) return false
  // The headers of a fetch Request are not plain properties: its visitor would silently have no session.
  const { cookie, get } = headers as { readonly cookie?: unknown; readonly get?: unknown }
  return typeof get !== 'function' && (cookie === undefined || typeof cookie === 'string')
}
