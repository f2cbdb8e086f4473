// Developer warnings about what is probably not as intended. Each is emitted once for each middleware; that of routes which are
// never reached, once in a process.
import cluster from 'node:cluster'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { CookieSettings } from './cookie/cookie.ts'
import { canBeBound } from './cookie/bound-cookie.ts'
import { hasShortSecret } from './cookie/keyring.ts'
import type { Events } from './events.ts'
import type { Settings } from './settings.ts'
import { MemoryStore } from './stores/memory.ts'

/** Warnings that need no request: emitted when session() is called. */
export function warnOfSettings(settings: Settings, events: Events): void {
  const { store, encryption, lifetime, deviceBound, cookie } = settings
  if (settings.hasShortSecret) warnOfShortSecret(events)
  if (hasShortSecret(encryption?.keys)) warnOfShortSecret(events, 'encryptionKeys')
  if (encryption?.acceptPlain === true)
    events.notice(
      'ACCEPT_PLAIN',
      'options.encryptionKeys.acceptPlain reads sessions that are not encrypted: whoever can write to the store can forge them, so set it back to false once all are encrypted',
    )
  if (lifetime.hasIdleAboveAbsolute)
    events.notice(
      'IDLE_ABOVE_ABSOLUTE',
      `options.idleTimeout is above the absolute timeout of ${lifetime.absoluteTimeout} ms: lower it, or raise options.absoluteTimeout or options.maxAge`,
    )
  if (deviceBound !== undefined && typeof cookie === 'object' && !canBeBound(cookie))
    events.notice(
      'DEVICE_BOUND_PARTITIONED',
      'options.deviceBound has no effect on a cookie that is partitioned, or whose name begins with __Host-Http-: browsers keep no proof beside it',
    )
  if (store.limits !== undefined) events.notice('STORE_LIMITS', store.limits)
  warnOfMemoryStore(settings, events)
}

/** A secret could be guessed, in `keys` or the option of that name. */
export function warnOfShortSecret(events: Events, option = 'keys'): void {
  events.notice(
    'SHORT_SECRET',
    `a secret of ${option} has fewer than 16 characters and could be guessed: make one with \`node -p "crypto.randomBytes(32).toString('base64url')"\``,
  )
}

/** A MemoryStore in one of several processes, or in production where the app chose no store. */
function warnOfMemoryStore({ store, isDefaultStore }: Settings, events: Events): void {
  if (!(store instanceof MemoryStore)) return
  const isInProduction = isDefaultStore && process.env['NODE_ENV'] === 'production'
  if (!cluster.isWorker && !isInProduction) return
  events.notice(
    'MEMORY_STORE',
    cluster.isWorker
      ? 'this is one of several processes, and MemoryStore keeps sessions in this one alone: give a store that they share, such as RedisStore'
      : 'sessions are kept in the memory of this process, and end when it does: give a store such as RedisStore, or store: new MemoryStore() if that is meant',
  )
}

/** Warns of a cookie that no browser keeps, or that should have been marked Secure. Called where the Set-Cookie line is made. */
export function warnOfCookie(ctx: Context, cookie: CookieSettings, events: Events): void {
  if (cookie.isAuto && !ctx.secure && looksLikeHttps(ctx)) {
    events.notice(
      'INSECURE_COOKIE',
      'the session cookie was sent without Secure, though a proxy says the browser uses https: let it send X-Forwarded-Proto, and set app.proxy = true if you run behind that proxy',
    )
  }
  // Most cookies: browsers refuse none of their attributes.
  if (cookie.isAuto && !cookie.attributes.includes('; Domain=')) return
  // Without the port; empty where the request names no host.
  const host = ctx.hostname.toLowerCase().replace(/\.$/, '')
  const isMarked = !cookie.isAuto && cookie.attributes.includes('; Secure')
  // Browsers send Fetch Metadata only over https (and to their own machine).
  const isSentInVain =
    isMarked && !ctx.secure && !looksLikeHttps(ctx) && ctx.req.headers['sec-fetch-site'] === undefined
  if (isSentInVain && host !== '' && !LOOPBACK.test(host)) {
    events.notice(
      'COOKIE_REFUSED',
      'the session cookie was sent with Secure over plain http, where no browser keeps it: use https, or cookie: { secure: "auto" }, no name prefix, no sameSite "none", not partitioned; behind a proxy that ends TLS let it send X-Forwarded-Proto, and set app.proxy = true',
    )
  }
  const domain = /; Domain=\.?([^;]+)/.exec(cookie.attributes)?.[1]?.toLowerCase()
  if (domain === undefined || host === '' || host === domain || host.endsWith(`.${domain}`)) return
  // A proxy that says which host the browser asked for has replaced the Host header.
  if (ctx.req.headers['x-forwarded-host'] !== undefined || ctx.req.headers.forwarded !== undefined) return
  events.notice(
    'COOKIE_REFUSED',
    `the session cookie was sent with the domain ${domain}, which the request's host is not in, so no browser keeps it: leave cookie.domain out, or let the proxy pass the Host header on`,
  )
}

// Browsers keep Secure cookies of their own machine without TLS.
const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[?::1\]?)$/

/** Whether a proxy says that the browser uses https. */
function looksLikeHttps(ctx: Context): boolean {
  const { headers } = ctx.req
  const says = (name: string, pattern: RegExp): boolean => pattern.test(String(headers[name] ?? ''))
  return (
    says('x-forwarded-proto', /^\s*(?:https|wss)\b/i) ||
    says('x-forwarded-ssl', /^on$/i) ||
    says('front-end-https', /^on$/i) ||
    says('forwarded', /\bproto="?https\b/i)
  )
}

/**
 * Warns when a package reads `ctx.session`, which does not exist: koa-csrf, for example, protects nothing then. A request that
 * gets a `ctx.session` of its own later causes no warning.
 *
 * The accessor is on the prototype of all contexts of the app, so it costs a request nothing; setting `ctx.session` makes it an
 * ordinary property.
 */
export function watchForKoaSession(prototype: object, events: Events): void {
  if ('session' in prototype) return
  let hasWarned = false
  const warn = (): void => {
    hasWarned = true
    events.notice(
      'NO_CTX_SESSION',
      'ctx.session was used, but the session is at ctx.state: a package such as koa-csrf or koa-passport needs session({ koaSession: true })',
    )
  }
  const pending = new WeakSet()
  Object.defineProperty(prototype, 'session', {
    configurable: true,
    get(this: { readonly res?: ServerResponse }) {
      if (hasWarned || pending.has(this)) return undefined
      const { res } = this
      if (res === undefined) warn()
      else {
        pending.add(this)
        res.once('close', () => {
          if (!Object.hasOwn(this, 'session')) warn()
        })
      }
    },
    set(this: object, value: unknown) {
      // With koa-session this signs out. Here the user would stay signed in, and nobody would notice.
      if (value === null) warn()
      Object.defineProperty(this, 'session', { configurable: true, enumerable: true, writable: true, value })
    },
  })
}

// ---- routes that are mounted before session()

// Their requests have no session and fail without ever reaching session(), so until the first request reaches it, the responses
// of the process are watched.

const FINISHED = 'http.server.response.finish'

let isReached = false
let listener: ((message: unknown) => void) | undefined

/** Warns once when a request is answered with 500 and none has reached session() yet. */
export function warnIfNeverReached(events: Events): void {
  if (isReached || listener !== undefined) return
  listener = (message) => {
    if ((message as { readonly response: { readonly statusCode: number } }).response.statusCode !== 500) return
    // Not at once: to unsubscribe while a message is being published hides the message from the next subscriber.
    queueMicrotask(markReached)
    if (isReached) return
    isReached = true
    events.notice(
      'NOT_REACHED',
      'a request was answered with 500, and none has come to session() so far: if its handler needs a session, mount session() before it',
    )
  }
  subscribe(FINISHED, listener)
}

/** Stops watching: a request has reached session(), or the warning was emitted. */
export function markReached(): void {
  isReached = true
  if (listener === undefined) return
  unsubscribe(FINISHED, listener)
  listener = undefined
}
