// The small app whose histories are written: each request does one thing to its session and tells what it saw.
import { setTimeout as sleep } from 'node:timers/promises'
import Koa, { type Context } from 'koa'
import { session, type SessionManager, type SessionMiddleware, type SessionOptions } from '../../src/index.ts'
import type { Kind, Seen } from './history.ts'

type Contents = Record<string, unknown> & {
  /** Given to the session when it begins, and never changed: says which session this is. */
  tag?: string
  /** The appends, in their order. */
  log?: number[]
  /** Which sign-in made the owner. */
  login?: string
}

type Session = SessionManager<Contents>
type Answer = Partial<Record<'saw' | 'left' | 'log' | 'found' | 'ended' | 'beganAnew' | 'code', unknown>>

const SECRETS = ['the secret of the histories, which is long enough']

/** The app over one middleware, and that middleware. */
export function historyApp(options: SessionOptions<Contents>): { app: Koa; sessions: SessionMiddleware<Contents> } {
  const sessions = session<Contents>({ sweepInterval: false, logger: {}, keys: SECRETS, ...options })
  const app = new Koa()
  app.silent = true
  app.use(async (ctx, next) => {
    const answer: Answer = {}
    ctx.state['answer'] = answer
    try {
      if (ctx.path === '/outside') await fromOutside(sessions, ctx, answer)
      else {
        await next()
        answer.left = leftBy(ctx)
      }
    } catch (error) {
      const { status = 500, code = String(error) } = error as { status?: number; code?: string }
      ctx.status = status
      answer.code = code
      answer.left = leftBy(ctx)
    }
    ctx.body = answer
  })
  app.use(sessions)
  app.use((ctx) => {
    const manager = ctx.state.session as unknown as Session
    // Every visitor has a session at once, and so it has its tag.
    if (options.lazy === false && manager.isNew) manager.data.tag = `t${String(ctx.query['n'])}`
    return inside(manager, ctx, ctx.state['answer'] as Answer)
  })
  return { app, sessions }
}

function seen(id: string, owner: string | undefined, data: unknown): Seen {
  return { id, owner: owner ?? null, data: JSON.parse(JSON.stringify(data)) as Record<string, unknown> }
}

function leftBy(ctx: Context): Seen | null {
  const manager = ctx.state.session as unknown as Session | undefined
  try {
    return manager === undefined ? null : seen(manager.publicId, manager.owner, manager.data)
  } catch {
    return null // it has ended
  }
}

async function inside(manager: Session, ctx: Context, answer: Answer): Promise<void> {
  const { kind, n, key, value, owner, lifetime, pause } = ctx.query as Record<string, string> & { kind: Kind }
  const number = Number(n)
  const tag = `t${String(n)}`
  const isLive = manager.origin === 'resumed'
  const { data } = manager
  answer.saw = isLive ? seen(manager.publicId, manager.owner, data) : null
  if (pause !== undefined) await sleep(Number(pause))
  const begin = (): void => {
    if (!isLive) data.tag ??= tag
  }
  switch (kind) {
    case 'set':
      begin()
      data[String(key)] = value
      break
    case 'delete':
      Reflect.deleteProperty(data, String(key))
      break
    case 'append':
      answer.log = await appendBeside(manager, number, isLive ? undefined : tag, pause)
      break
    case 'clear': {
      const { tag: kept, log, login } = data
      manager.clear()
      for (const [name, one] of Object.entries({ tag: kept, log, login })) if (one !== undefined) data[name] = one
      break
    }
    case 'regenerate':
      if (isLive) await manager.regenerate()
      break
    case 'renew':
      if (!isLive) break
      await manager.regenerate({ keep: false })
      data.tag = tag
      break
    case 'sign in': {
      const isAnother = isLive && manager.owner !== undefined && manager.owner !== owner
      if (isAnother) data.tag = tag
      else begin()
      data.login = `s${String(n)}`
      await manager.signIn(String(owner), isAnother ? { keep: ['tag', 'login'] } : {})
      if (manager.data.tag !== undefined) break
      // It had ended meanwhile, and begins empty.
      answer.beganAnew = true
      manager.data.tag = tag
      manager.data.login = `s${String(n)}`
      break
    }
    case 'end':
      if (isLive) await manager.destroy()
      break
    case 'expire':
      begin()
      manager.maxAge = Number(lifetime)
  }
  if (pause !== undefined) await sleep(Number(pause))
}

/** Each fourth request does two things at once: while its append takes its time, it stores something else. */
async function appendBeside(manager: Session, n: number, tag: string | undefined, pause = '0'): Promise<number[]> {
  const isBeside = n % 4 === 0 && tag === undefined
  const appended = manager.update(async (newest) => {
    const log = append(newest, n, tag)
    if (isBeside) await sleep(Number(pause))
    return log
  })
  if (isBeside) {
    manager.data[`beside ${n % 3}`] = n
    // What is judged is the append: it tells by itself how it ended.
    await Promise.allSettled([manager.save(), appended])
  }
  return appended
}

function append(data: Contents, n: number, tag?: string): number[] {
  if (tag !== undefined) data.tag ??= tag
  data.log = [...(data.log ?? []), n]
  return [...data.log]
}

async function fromOutside(sessions: SessionMiddleware<Contents>, ctx: Context, answer: Answer): Promise<void> {
  const { kind, n, target, owner } = ctx.query as Record<string, string> & { kind: Kind }
  const show = (found: Iterable<{ publicId: string; owner: string | undefined; data: object | undefined }>): Seen[] =>
    [...found].map((one) => seen(one.publicId, one.owner, one.data ?? {}))
  switch (kind) {
    case 'end elsewhere':
      answer.ended = await sessions.destroy(String(target))
      break
    case 'end all':
      await sessions.destroyAll(String(owner))
      break
    case 'append outside':
      answer.log = await sessions.update(String(target), (data) => append(data, Number(n)))
      break
    case 'list':
      answer.found = show(await sessions.list(String(owner)))
      break
    case 'scan': {
      const found = []
      for await (const one of sessions.scan()) found.push(one)
      answer.found = show(found)
    }
  }
}
