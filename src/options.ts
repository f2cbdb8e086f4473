// The options of session(): types, meaning, defaults. Each is optional, and `undefined` counts as left out.
import type { Context } from 'koa'
import type { CookieOptions } from './cookie/cookie.ts'
import type { KeygripLike, Secrets } from './cookie/keyring.ts'
import type { Duration } from './duration.ts'
import type { SessionLogger } from './events.ts'
import type { SessionCodec } from './record/codec.ts'
import type { StandardSchema } from './record/schema.ts'
import type { SessionStore } from './store.ts'

/** A request header that leaves the request without a session. */
export interface SkipHeader {
  /** In upper or lower case: names of headers are case-insensitive. */
  readonly name: string
  /** Compared exactly; `'*'` matches any. */
  readonly value: string
}

/** How sessions are encrypted, where a list of keys is not enough. */
export interface EncryptionOptions {
  /** Secrets, newest first. */
  readonly keys: Secrets
  /** `false`: new payloads are written in the clear, and both kinds are read. Used to switch encryption off. @default true */
  readonly encrypt?: boolean | undefined
  /**
   * `true`: sessions that were stored in the clear are read as well, and encrypted at their next use. Used to switch encryption on.
   * Meanwhile anyone who can write to the store can forge sessions, and a notice says so.
   *
   * @default false: such a session counts as ended
   */
  readonly acceptPlain?: boolean | undefined
  /**
   * What happens to a session under a key that is not listed. `'fail'`: `ERR_SESSION_STORE` (503), because a key was probably
   * forgotten. `'end'`: the session reads as expired, and its record is left alone.
   *
   * @default 'fail'
   */
  readonly onUnknownKey?: 'fail' | 'end' | undefined
}

/** Other sites that may send unsafe requests with a session. */
export interface CrossSiteOptions {
  /**
   * Origins without a path, such as `'https://pay.example'`, or a function that decides for one request, synchronously. With a
   * list, a request without an `Origin` header is not trusted.
   */
  readonly trust: readonly string[] | ((ctx: Context) => boolean)
}

/** What `Clear-Site-Data` can name here. `'cookies'` is not allowed: it would drop the cookies of the app as well. */
export type ClearSiteData = 'cache' | 'storage' | 'executionContexts' | 'clientHints'

/** Details of {@link SessionOptions.deviceBound}. */
export interface DeviceBoundOptions {
  /** How long one proof lasts, and so how long stolen cookies work at most: five minutes to 400 days. @default '10m' */
  readonly within?: Duration | undefined
  /** Where the middleware answers the browser's own requests, below the path of the cookie. @default '/.session/device' */
  readonly path?: string | undefined
}

/**
 * Everything that `session()` takes. All of it is optional; a wrong option throws a `TypeError` when `session()` is called.
 * `Data` is the type of the sessions' data.
 */
export interface SessionOptions<Data extends object = Record<string, unknown>> {
  /**
   * The keys that sign the cookie: secrets, newest first (HMAC-SHA256), or a Keygrip. All verify, the first signs; a cookie signed
   * with an older key is issued again. To rotate keys among several processes: add the new secret last everywhere, then put it
   * first, and drop the old one when its sessions have ended. A process that does not know the key of a cookie takes the cookie
   * for a forged one. Changes of the array take effect from the next request on.
   *
   * @default `app.keys`, which must then be set before the first request
   */
  readonly keys?: KeygripLike | Secrets | undefined
  /**
   * Where sessions are kept. The default suits a single process that may lose its sessions when it restarts.
   *
   * @default new MemoryStore()
   */
  readonly store?: SessionStore | undefined
  /**
   * Attributes of the cookie, or a function that returns them synchronously and is called once for each request.
   *
   * @default { name: 'sid', path: '/', httpOnly: true, secure: 'auto', sameSite: 'lax' }
   */
  readonly cookie?: CookieOptions | ((ctx: Context) => CookieOptions) | undefined
  /**
   * 0: the cookie lives while the browser runs. Above 0: cookie and session live this long, from one second to 400 days, the
   * longest that browsers keep a cookie (RFC 6265bis, section 5.5).
   *
   * @default 0
   */
  readonly maxAge?: Duration | undefined
  /** `true`: use renews `maxAge`, which must be set, and each touch that is due issues the cookie again. @default false */
  readonly rolling?: boolean | undefined
  /**
   * The session ends after this long without a request (OWASP's idle timeout). A use is written to the store when a tenth of this
   * time, at most an hour, has passed since the last use that was written.
   *
   * @default '2h', or `maxAge` when that is set
   */
  readonly idleTimeout?: Duration | undefined
  /**
   * The session ends this long after it began, however active (OWASP's absolute timeout); `false` for never. `signIn` restarts
   * this time.
   *
   * @default '24h'; `maxAge` when that is set; 400 days when rolling
   */
  readonly absoluteTimeout?: Duration | false | undefined
  /** The name of the manager on `ctx.state`, different for each session middleware of an app. @default 'session' */
  readonly stateKey?: string | undefined
  /**
   * Returns `true` for a request without a session: `ctx.state` has no entry then, and `currentSession()` throws. It must answer
   * synchronously: a promise fails the request.
   *
   * @default none: every request has a session
   */
  readonly skip?: ((ctx: Context) => boolean) | undefined
  /**
   * Requests with this header, or with one of these, have no session. A client can send it too: do not use it for routes that
   * rely on the session being there.
   *
   * @default none
   */
  readonly skipHeader?: SkipHeader | readonly SkipHeader[] | undefined
  /**
   * Returns `true` for a request that is no activity of its user (a poll, a heartbeat). Such a request is served as any other, but
   * moves no timeout and renews no cookie; its changes are stored without moving the expiry. It creates sessions, signs in and
   * destroys as others do. Called once, before the session is loaded; it must answer synchronously, as `skip` does.
   *
   * ```ts
   * session({ passive: (ctx) => ctx.path === '/notifications/poll' })
   * ```
   *
   * @default none: every request is activity
   */
  readonly passive?: ((ctx: Context) => boolean) | undefined
  /**
   * `true`: no record and no cookie until there is something to keep: data, a flash message, `maxAge`, an `id` that was read,
   * `save()`, `regenerate()`, `signIn()`. `false`: every visitor gets a session at once, except in OPTIONS requests.
   *
   * @default true
   */
  readonly lazy?: boolean | undefined
  /**
   * What happens when two requests that overlap changed the same key of data. `'merge'`: the later commit wins, and an event says
   * so. `'throw'`: the later commit is refused with `ERR_SESSION_CONFLICT` (409). Changes of different keys are always merged.
   *
   * @default 'merge'
   */
  readonly onConflict?: 'merge' | 'throw' | undefined
  /** Deadline of one store call, at most 24 days. A call that passes it is `ERR_SESSION_STORE` (503). @default '2s' */
  readonly storeTimeout?: Duration | undefined
  /** Largest serialised session, in bytes, before encryption. A larger one is `ERR_SESSION_TOO_LARGE`. @default 65536 */
  readonly maxBytes?: number | undefined
  /**
   * Secrets, newest first: data, flash messages and `device` are encrypted (AES-256-GCM, under a key of the record's own) before
   * they reach the store, bound to their record, owner and `createdAt`. The first encrypts, all decrypt; a session under an
   * older one is encrypted again when it is used. To rotate among several processes: add the new secret last everywhere, then
   * put it first, then drop the old one; a process that does not know the key of a session answers 503. Pass
   * {@link EncryptionOptions} instead of a list to switch encryption on or off while sessions live, or to drop a key.
   *
   * @default none: data is stored in the clear
   */
  readonly encryptionKeys?: Secrets | EncryptionOptions | undefined
  /**
   * Turns data into text and back.
   *
   * ```ts
   * import * as devalue from 'devalue' // keeps Date, Map, Set and BigInt
   * session({ codec: devalue })
   * ```
   *
   * @default JSON
   */
  readonly codec?: SessionCodec | undefined
  /**
   * A Standard Schema for data. When a session is loaded, the output of the schema becomes data. At the commit data must satisfy
   * the schema, and the output is dropped, so the schema must accept its own output. The empty data of a new session is checked
   * only at the commit. Stored data that does not satisfy the schema locks no user out: reading `data` throws
   * `ERR_SESSION_SCHEMA` (empty data reads as empty), everything else works (`owner`, `destroy`, `signIn`, `clear`, assigning
   * `data`).
   *
   * ```ts
   * session({ schema: z.object({ cart: z.array(z.string()).default([]) }) })
   * ```
   */
  readonly schema?: StandardSchema<Data> | undefined
  /**
   * Reads the owner from data, in each commit that stores a change, for apps that sign in by other means than `signIn`, which is
   * refused then. It gets a copy of data and answers synchronously: a string of 1 to 255 characters, or `undefined` for no owner.
   * When an owner appears or changes, the session gets a new id, as by `signIn`; when the owner goes away it does not. Of the data of
   * a different owner only what the request changed is kept. So let one key name the owner: of two, the one that the other hid is
   * dropped with the rest, and a session that goes back to it is nobody's at its next change.
   *
   * ```ts
   * session<{ passport?: { user?: string } }>({ koaSession: true, owner: (data) => data.passport?.user })
   * ```
   */
  readonly owner?: ((data: Data) => string | undefined) | undefined
  /**
   * The largest number of live sessions of one owner, a whole number from 1 on. When a sign-in exceeds it, the sessions that were
   * used longest ago end, but never the one that signs in. Where the store keeps no index by owner, a sign-in is
   * `ERR_SESSION_UNSUPPORTED`.
   *
   * @default none: no limit
   */
  readonly maxPerOwner?: number | undefined
  /**
   * Facts about where an owner signed in, taken at the sign-in, kept beside the data and shown by `list`. `true`:
   * `{ address, userAgent }`, which are `ctx.ip` and the first 512 characters of `User-Agent`. Or a function that returns an object
   * synchronously: what JSON keeps of it, at most 1024 bytes. If it is larger, or the function throws, the sign-in fails.
   *
   * @default false
   */
  readonly device?: boolean | ((ctx: Context) => object) | undefined
  /**
   * What happens to an unsafe request (any method but GET, HEAD and OPTIONS, and a WebSocket upgrade) that a page of another site
   * sends with a live session. `'refuse'`: `ERR_SESSION_CROSS_SITE` (403) before any handler, unless its origin is trusted
   * ({@link CrossSiteOptions}); a sign-in in such a request is refused even without a live session. `'allow'`: nothing is checked.
   *
   * @default 'refuse'
   */
  readonly crossSite?: 'refuse' | 'allow' | CrossSiteOptions | undefined
  /**
   * What the browser clears for this origin with a response that clears the cookie (the `Clear-Site-Data` header): its caches,
   * storage and so on. With an empty list the header is not sent.
   *
   * @default none
   */
  readonly clearSiteData?: readonly ClearSiteData[] | undefined
  /**
   * Binds the sessions of an owner to a key that never leaves the browser's device, so that a stolen cookie is useless (Device
   * Bound Session Credentials). `true`, or {@link DeviceBoundOptions}. Works only over HTTPS; browsers that do not support it are
   * served as before.
   *
   * @default false
   */
  readonly deviceBound?: boolean | DeviceBoundOptions | undefined
  /**
   * Makes an id: 22 to 128 characters of the base64url alphabet that cannot be guessed, with at least 128 random bits. It is
   * called once when `session()` is called, to check it.
   *
   * @default 192 random bits
   */
  readonly generateId?: (() => string) | undefined
  /**
   * `true`: also offers koa-session's `ctx.session`, for packages written for it (koa-passport, koa-csrf, grant and others).
   * With `schema`, stored data that the schema refuses reads as empty, and the first change of that request, a flash message or
   * `maxAge` too, stores it empty; so deploy a schema that accepts what is stored.
   *
   * @default false
   */
  readonly koaSession?: boolean | undefined
  /**
   * How often expired records are deleted in a store that needs it, give or take a fifth; at most 24 days. `false`: never, the app
   * calls `deleteExpired()`.
   *
   * @default '10m'
   */
  readonly sweepInterval?: Duration | false | undefined
  /**
   * Where events and safety notices are written. A logger never gets an id, a signature or data.
   *
   * @default none: safety notices go to `process.emitWarning`, each once
   */
  readonly logger?: SessionLogger | undefined
  /**
   * The clock, in epoch milliseconds, for tests: a finite number. It alone decides what has expired.
   *
   * @default Date.now, looked up at each call, so that fake timers work whenever they are installed
   */
  readonly now?: (() => number) | undefined
}
