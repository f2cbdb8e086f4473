// The least that any middleware with a signed id cookie must do: one regular
// expression over the Cookie header, one HMAC-SHA256 by Keygrip, one
// timingSafeEqual, one Map lookup, AsyncLocalStorage.run, and Set-Cookie only
// for a new session. Not a library: no expiry, rotation, errors or options.
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomFillSync, timingSafeEqual } from 'node:crypto'
import Keygrip from 'keygrip'
import Koa from 'koa'
import { answer } from './workloads.js'

const PATTERN = /(?:^|;\s*)sid=([\w-]{32})\.([\w-]{43})(?:;|$)/
const POOL = Buffer.allocUnsafe(24 * 512)
let used = POOL.length

/** 192 random bits as base64url, drawn from a pool of random bytes. */
export function pooledId() {
  if (used === POOL.length) {
    randomFillSync(POOL)
    used = 0
  }
  used += 24
  return POOL.toString('base64url', used - 24, used)
}

const given = Buffer.alloc(43)
const wanted = Buffer.alloc(43)
const same = (a, b) => {
  given.latin1Write(a, 0)
  wanted.latin1Write(b, 0)
  return timingSafeEqual(given, wanted)
}

const isEmpty = (object) => {
  for (const _ in object) return false
  return true
}

class Session {
  constructor(id, raw, text) {
    this.id = id
    this.raw = raw
    this.text = text
    this.open = undefined
  }
  get data() {
    return (this.open ??= this.raw === undefined ? {} : this.text ? JSON.parse(this.raw) : this.raw)
  }
}

/**
 * text: sessions are kept as JSON text, parsed at the first access and
 * written when they differ (isolation between requests); otherwise live
 * objects are shared between requests.
 */
export function limitApp({ keys, text, redis }) {
  const app = new Koa()
  const als = new AsyncLocalStorage()
  const keygrip = new Keygrip(keys, 'sha256')
  const sign = (id) => keygrip.sign(id)
  const map = new Map()

  const commit = (ctx, session) => {
    if (session.open === undefined) return
    if (text) {
      const now = JSON.stringify(session.open)
      if (now === session.raw || now === '{}') return
      session.raw = now
    } else if (session.raw !== undefined || isEmpty(session.open)) return
    if (session.id === undefined) {
      session.id = pooledId()
      ctx.res.setHeader('Set-Cookie', `sid=${session.id}.${sign(session.id)}; Path=/; HttpOnly; SameSite=Lax`)
    }
    if (redis) return redis.set('s:' + session.id, session.raw, 'EX', 86400)
    map.set(session.id, text ? session.raw : session.open)
  }

  const find = (ctx) => {
    const header = ctx.req.headers.cookie
    const match = header === undefined ? null : PATTERN.exec(header)
    if (match === null || !same(match[2], sign(match[1]))) return undefined
    return match[1]
  }

  app.use(
    redis
      ? async (ctx, next) => {
          const id = find(ctx)
          const raw = id && (await redis.get('s:' + id))
          const session = (ctx.state.session = raw
            ? new Session(id, raw, text)
            : new Session(undefined, undefined, text))
          await als.run(session, next)
          return commit(ctx, session)
        }
      : async (ctx, next) => {
          const id = find(ctx)
          const raw = id && map.get(id)
          const session = (ctx.state.session = raw
            ? new Session(id, raw, text)
            : new Session(undefined, undefined, text))
          await als.run(session, next)
          commit(ctx, session)
        },
  )
  app.use((ctx) => {
    ctx.body = answer(ctx.path, () => als.getStore().data)
  })
  return {
    listener: app.callback(),
    close() {
      redis?.disconnect()
    },
  }
}
