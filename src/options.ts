// What a user may set: types, meaning, defaults. Everything is optional, and `undefined` is as good as left out.
import type { Context } from 'koa'
import type { CookieOptions } from './cookie/cookie.ts'
import type { KeygripLike, Secrets } from './cookie/keyring.ts'
import type { Duration } from './duration.ts'
import type { SessionLogger } from './events.ts'
import type { SessionCodec } from './record/codec.ts'
import type { StandardSchema } from './record/schema.ts'
import type { SessionStore } from './store.ts'

export type { Duration } from './duration.ts'

/** A request header that leaves the request without a session. */
export interface SkipHeader {
  /** In any case: names of headers have none. */
  readonly name: string
  /** Compared exactly; `'*'` matches any. */
  readonly value: string
}

/** How sessions are encrypted, where a list of keys does not say enough. */
export interface EncryptionOptions {
  /** Secrets, newest first. */
  readonly keys: Secrets
  /** `false`: new payloads are written in the clear, and both kinds are read: the way to switch encryption off. @default true */
  readonly encrypt?: boolean | undefined
  /**
   * `true`: what was stored in the clear is read as well, and encrypted at its next use: the way to switch encryption on.
   * Meanwhile sessions can be forged by anyone who can write to the store, which a notice says.
   *
   * @default false: such a session has ended
   */
  readonly acceptPlain?: boolean | undefined
  /**
   * A session under a key that is not listed: `'fail'` is `ERR_SESSION_STORE` (503), since a key was probably forgotten;
   * `'end'` reads it as expired and leaves the record alone.
   *
   * @default 'fail'
   */
  readonly onUnknownKey?: 'fail' | 'end' | undefined
}

/** Other sites that may send unsafe requests with a session. */
export interface CrossSiteOptions {
  /**
   * Origins without a path, such as `'https://pay.example'`, or a function that says so of one request, at once. For a list
   * the request must name its origin.
   */
  readonly trust: readonly string[] | ((ctx: Context) => boolean)
}

/** What `Clear-Site-Data` can name here. Cookies are not among them: it would drop those of the app as well. */
export type ClearSiteData = 'cache' | 'storage' | 'executionContexts' | 'clientHints'

/** Details of {@link SessionOptions.deviceBound}. */
export interface DeviceBoundOptions {
  /** How long one proof lasts, and with it a stolen pair of cookies: five minutes to 400 days. @default '10m' */
  readonly within?: Duration | undefined
  /** Where the middleware answers the browser's own requests, below the path of the cookie. @default '/.session/device' */
  readonly path?: string | undefined
}

/**
 * Everything that `session()` takes. All of it is optional; a wrong option throws a `TypeError` when `session()` is called.
 * `Data` is what the sessions hold.
 */
export interface SessionOptions<Data extends object = Record<string, unknown>> {
  /**
   * What signs the cookie: secrets, newest first (HMAC-SHA256), or a Keygrip. All verify, the first signs; a cookie signed
   * with an older one is issued anew. To rotate among several processes: add the new secret last everywhere, then put it
   * first, and drop the old one when its sessions have ended. A process that does not know the key of a cookie takes it for
   * a stranger's. An array that changes counts from the next request on.
   *
   * @default `app.keys`, which must be set before the first request then
   */
  readonly keys?: KeygripLike | Secrets | undefined
  /**
   * Where sessions are kept. The default is for one process that may forget them when it restarts.
   *
   * @default new MemoryStore()
   */
  readonly store?: SessionStore | undefined
  /**
   * Attributes of the cookie, or a function that gives them at once, called once for each request.
   *
   * @default { name: 'sid', path: '/', httpOnly: true, secure: 'auto', sameSite: 'lax' }
   */
  readonly cookie?: CookieOptions | ((ctx: Context) => CookieOptions) | undefined
  /**
   * 0: the cookie lives while the browser runs. Above: cookie and session live this long, from one second to 400 days, the
   * longest that browsers keep a cookie (RFC 6265bis, section 5.5).
   *
   * @default 0
   */
  readonly maxAge?: Duration | undefined
  /** With `maxAge`, and only with it: use renews it, and the cookie is issued again with each touch that is due. @default false */
  readonly rolling?: boolean | undefined
  /**
   * The session ends after this long without a request (OWASP's idle timeout). Use is noted in the store when a tenth of it
   * has passed since the last note, or an hour.
   *
   * @default '2h', or `maxAge` when that is set
   */
  readonly idleTimeout?: Duration | undefined
  /**
   * The session ends this long after it began, however active (OWASP's absolute timeout); `false` for never. `signIn`
   * begins it anew.
   *
   * @default '24h'; `maxAge` when that is set; 400 days when rolling
   */
  readonly absoluteTimeout?: Duration | false | undefined
  /** Where the manager stands on `ctx.state`: one name for each session middleware of an app. @default 'session' */
  readonly stateKey?: string | undefined
  /**
   * `true`: no session for this request. `ctx.state` has no entry then, and `currentSession()` throws. It answers at once:
   * a promise fails the request.
   *
   * @default none: every request has a session
   */
  readonly skip?: ((ctx: Context) => boolean) | undefined
  /**
   * No session for requests with this header, or one of these. A client can send it too: not for routes that rely on the
   * session being there.
   *
   * @default none
   */
  readonly skipHeader?: SkipHeader | readonly SkipHeader[] | undefined
  /**
   * `true`: this request is no activity of its user (a poll, a heartbeat). It is served as any other, but moves no timeout and
   * renews no cookie; what it changes is stored without moving the expiry. It makes sessions, signs in and destroys as others
   * do. Asked once, before the session is loaded; it answers at once, as `skip` does.
   *
   * ```ts
   * session({ passive: (ctx) => ctx.path === '/notifications/poll' })
   * ```
   *
   * @default none: every request is activity
   */
  readonly passive?: ((ctx: Context) => boolean) | undefined
  /**
   * No record and no cookie until there is something to keep: data, a flash message, `maxAge`, an `id` that was read,
   * `save()`, `regenerate()`, `signIn()`. `false`: every visitor gets a session at once, but for an OPTIONS request.
   *
   * @default true
   */
  readonly lazy?: boolean | undefined
  /**
   * Two requests that overlap changed the same key of data: `'merge'`, the later commit wins and an event says so;
   * `'throw'`, it is refused with `ERR_SESSION_CONFLICT` (409). Changes of different keys are merged in either case.
   *
   * @default 'merge'
   */
  readonly onConflict?: 'merge' | 'throw' | undefined
  /** Deadline of one store call, at most 24 days. One that passes it is `ERR_SESSION_STORE` (503). @default '2s' */
  readonly storeTimeout?: Duration | undefined
  /** Largest serialised session, in bytes, before encryption. One above is `ERR_SESSION_TOO_LARGE`. @default 65536 */
  readonly maxBytes?: number | undefined
  /**
   * Secrets, newest first: data, flash messages and `device` are encrypted (AES-256-GCM, under a key of the record's own) before
   * they reach the store, bound to their record, owner and `createdAt`. The first encrypts, all decrypt; a session under an
   * older one is written anew when it is used. To rotate among several processes: add the new secret last everywhere, then
   * put it first, then drop the old one; a process that does not know the key of a session answers 503.
   * {@link EncryptionOptions} instead of a list to switch encryption on or off while sessions live, or to drop a key.
   *
   * @default none: data is stored in the clear
   */
  readonly encryptionKeys?: Secrets | EncryptionOptions | undefined
  /**
   * How data becomes text and text data.
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
   * A Standard Schema that data satisfies. When a session is loaded, its output becomes data; at the commit data must
   * satisfy it, and its output is dropped, so it must accept what it makes. The empty data of a new session is checked at
   * the commit alone. Stored data that does not fit locks nobody out: looking at `data` throws `ERR_SESSION_SCHEMA`, all else
   * works (`owner`, `destroy`, `signIn`, `clear`, assigning `data`).
   *
   * ```ts
   * session({ schema: z.object({ cart: z.array(z.string()).default([]) }) })
   * ```
   */
  readonly schema?: StandardSchema<Data> | undefined
  /**
   * The owner as data tells it, looked at in each commit that stores a change, for apps that sign in by other means than
   * `signIn`, which is refused then. It gets a copy of data and answers at once: a text of 1 to 255 characters, or `undefined`
   * for nobody. Where an owner appears or changes, the session gets a new id, as by `signIn`; where one goes away it does not.
   *
   * ```ts
   * session({ koaSession: true, owner: (data) => data.passport?.user })
   * ```
   */
  readonly owner?: ((data: Data) => string | undefined) | undefined
  /**
   * The most live sessions of one owner, a whole number from 1 on: when another signs in, those that were used longest ago
   * end. Nobody is ended by a sign-in of their own session. Where the store keeps no index by owner, a sign-in is
   * `ERR_SESSION_UNSUPPORTED`.
   *
   * @default none: no limit
   */
  readonly maxPerOwner?: number | undefined
  /**
   * Facts about where an owner signed in, taken at the sign-in, kept beside the data and shown by `list`. `true`:
   * `{ address, userAgent }`, `ctx.ip` and the first 512 characters of `User-Agent`. Or a function that gives an object at
   * once: what JSON keeps of it, at most 1024 bytes; with more, or when it throws, the sign-in fails.
   *
   * @default false
   */
  readonly device?: boolean | ((ctx: Context) => object) | undefined
  /**
   * What becomes of an unsafe request (any method but GET, HEAD and OPTIONS, and a WebSocket upgrade) that a page of another
   * site sends with a live session. `'refuse'`: `ERR_SESSION_CROSS_SITE` (403) before any handler, unless its origin is
   * trusted ({@link CrossSiteOptions}). `'allow'`: nothing is looked at.
   *
   * @default 'refuse'
   */
  readonly crossSite?: 'refuse' | 'allow' | CrossSiteOptions | undefined
  /**
   * What the browser forgets with a response that clears the cookie (`Clear-Site-Data`): its caches, storage and the like of
   * this origin. An empty list is none.
   *
   * @default none
   */
  readonly clearSiteData?: readonly ClearSiteData[] | undefined
  /**
   * Binds the sessions of an owner to a key of the browser's own, so that a stolen cookie is worth nothing (Device Bound
   * Session Credentials). `true`, or {@link DeviceBoundOptions}. Over HTTPS alone; browsers that do not know it are served as
   * before.
   *
   * @default false
   */
  readonly deviceBound?: boolean | DeviceBoundOptions | undefined
  /**
   * Makes an id: 22 to 128 characters of the base64url alphabet that nobody can guess, 128 random bits at least. It is tried
   * once when `session()` is called.
   *
   * @default 192 random bits
   */
  readonly generateId?: (() => string) | undefined
  /**
   * Also offer koa-session's `ctx.session`, for packages written for it (koa-passport, koa-csrf, grant and others).
   *
   * @default false
   */
  readonly koaSession?: boolean | undefined
  /**
   * How often expired records are deleted in a store that needs it, give or take a fifth; at most 24 days. `false`: the app
   * calls `deleteExpired()`.
   *
   * @default '10m'
   */
  readonly sweepInterval?: Duration | false | undefined
  /**
   * Where events and safety notices are written; never an id, a signature or data.
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
