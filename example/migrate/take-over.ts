// A file to copy: sessions that koa-session or express-session left are taken over, so that nobody has to sign in again.
// Mount it right below session(), keep the old secrets and the old store, and take it out when its time is over.
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import { tryCurrentSession, type SessionData, type SessionManager } from 'koa-fastsession'

type OldData = Record<string, unknown>

/** A session of the time before. */
export interface OldSession {
  readonly data: OldData
  /** When it ends, in epoch milliseconds. */
  readonly expiresAt: number
  /** Lets it end earlier. */
  endAt(instant: number): Promise<void>
}

/** Where a request's old session is found. */
export interface OldSessions {
  /** The old cookie, and what else belonged to it. */
  readonly cookies: readonly string[]
  find(ctx: Context): Promise<OldSession | undefined>
}

export interface TakeOver<Data extends object> {
  readonly from: OldSessions
  /** The last instant at which an old session is taken over, in epoch milliseconds: a fixed one, which no restart moves. */
  readonly until: number
  /** Path and domain of the old cookies, where they had any. */
  readonly cookie?: { readonly path?: string; readonly domain?: string }
  /** Goes on with it: copies what is still of use, and signs in whoever was signed in. */
  readonly goOn: (session: SessionManager<Data>, data: OldData) => unknown
  /** The clock, for tests. */
  readonly now?: () => number
}

// A browser sends several requests at once, each with the old cookies and none yet with the new one: each of them must
// find its session. Afterwards an old cookie opens nothing, whoever kept a copy.
const OVERLAP = 10_000

export function takeOver<Data extends object = SessionData>({
  from,
  until,
  cookie = {},
  goOn,
  now = Date.now,
}: TakeOver<Data>): Middleware {
  return async (ctx, next) => {
    const session = tryCurrentSession<Data>()
    if (session !== undefined && from.cookies.some((name) => ctx.cookies.get(name, { signed: false }) !== undefined)) {
      // Only for a browser without a cookie of ours: one whose session has ended, by a logout say, stays signed out.
      if (session.origin === 'new' && now() < until) {
        const old = await from.find(ctx)
        if (old !== undefined && old.expiresAt > now()) {
          await old.endAt(Math.min(old.expiresAt, now() + OVERLAP))
          await goOn(session, old.data)
        }
      }
      for (const name of from.cookies) ctx.cookies.set(name, null, { ...cookie, signed: false, overwrite: true })
    }
    await next()
  }
}

/** As far as it is used, a store for koa-session. */
export interface KoaSessionStore {
  get(key: string, maxAge: number, options: object): unknown
  set(key: string, session: object, maxAge: number, options: object): unknown
}

/**
 * koa-session's sessions, `key` and `store` being its options of these names; `app.keys` must be the old ones, or begin
 * with new ones.
 *
 * Without a store the cookie itself holds the data. Nothing on the server can end such a session: a copy of the cookie
 * is good until it expires or `until` is over, whichever comes first, as it was with koa-session.
 */
export function koaSession({ key = 'koa.sess', store }: { key?: string; store?: KoaSessionStore } = {}): OldSessions {
  return {
    cookies: [key, `${key}.sig`],
    async find(ctx) {
      const value = ctx.cookies.get(key, { signed: true })
      if (value === undefined) return undefined
      const held = store === undefined ? decoded(value) : await store.get(value, 86_400_000, { ctx, rolling: false })
      if (!isObject(held)) return undefined
      const expiresAt = typeof held['_expire'] === 'number' ? held['_expire'] : Infinity
      // Names that begin so are koa-session's own.
      const data = Object.fromEntries(Object.entries(held).filter(([name]) => !name.startsWith('_')))
      return {
        data,
        expiresAt,
        async endAt(instant) {
          const left = instant - Date.now()
          await store?.set(value, { ...data, _expire: instant, _maxAge: left }, left, {
            ctx,
            rolling: false,
            changed: true,
          })
        },
      }
    },
  }
}

function decoded(value: string): unknown {
  try {
    return JSON.parse(Buffer.from(value, 'base64').toString())
  } catch {
    return undefined // of an app with an `encode` of its own
  }
}

/** As far as it is used, a store for express-session. */
export interface ExpressSessionStore {
  get(sid: string, callback: (error: unknown, session?: unknown) => void): unknown
  set(sid: string, session: never, callback: (error?: unknown) => void): unknown
}

/** express-session's sessions, `name`, `secret` and `store` being its options of these names. */
export function expressSession({
  name = 'connect.sid',
  secret,
  store,
}: {
  name?: string
  secret: string | string[]
  store: ExpressSessionStore
}): OldSessions {
  return {
    cookies: [name],
    async find(ctx) {
      const sid = unsigned(ctx.cookies.get(name, { signed: false }), [secret].flat())
      if (sid === undefined) return undefined
      const held = await called((callback) => store.get(sid, callback))
      if (!isObject(held)) return undefined
      const { cookie, ...data } = held
      const expires = isObject(cookie) ? cookie['expires'] : undefined
      return {
        data,
        expiresAt: typeof expires === 'string' || expires instanceof Date ? new Date(expires).valueOf() : Infinity,
        async endAt(instant) {
          const left = instant - Date.now()
          const ending = {
            ...held,
            cookie: { ...(cookie as object), originalMaxAge: left, maxAge: left, expires: new Date(instant) },
          }
          // Stores write a session as it is; their types ask for express-session's own class.
          await called((callback) => store.set(sid, ending as never, callback))
        },
      }
    },
  }
}

/** The id in `s:<id>.<signature>`, if one of the secrets signed it. */
function unsigned(value = '', secrets: readonly string[]): string | undefined {
  const text = value.replace(/%[\da-f]{2}/gi, (hex) => String.fromCharCode(parseInt(hex.slice(1), 16)))
  const [, sid, signature] = /^s:(.+)\.([\w+/]{43})$/.exec(text) ?? []
  if (sid === undefined || signature === undefined) return undefined
  const isSigned = secrets.some((secret) => {
    const right = createHmac('sha256', secret).update(sid).digest('base64').slice(0, 43)
    return timingSafeEqual(Buffer.from(signature), Buffer.from(right))
  })
  return isSigned ? sid : undefined
}

function called(call: (callback: (error: unknown, value?: unknown) => void) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    call((error, value) =>
      error ? reject(new Error('the store of the old sessions failed', { cause: error })) : resolve(value),
    )
  })
}

function isObject(value: unknown): value is OldData {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
