// An app with device-bound sessions over HTTPS (as behind a proxy), with a clock that only the test moves, a record of all store
// calls, and the messages of its channels.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ExecutionContext } from 'ava'
import Koa, { type Context, type Middleware } from 'koa'
import type { EventMessage } from '../../src/events.ts'
import {
  currentSession,
  session,
  type SessionManager,
  type SessionMiddleware,
  type SessionOptions,
} from '../../src/index.ts'
import type { SessionStore } from '../../src/store.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { KEYS, serve, served, type Answer, type Running } from './app.ts'
import { Device } from './device.ts'

export const SECOND = 1000
export const MINUTE: number = 60 * SECOND

export interface Things {
  n?: number
  cart?: string
}

export interface Seen {
  readonly origin: string
  readonly owner?: string
  readonly isBound: boolean
  readonly n?: number
}

export interface BoundSite {
  readonly running: Running
  readonly middleware: SessionMiddleware<Things>
  readonly clock: { now: number }
  /** The verbs that were called on the store since `calls` was emptied. */
  readonly calls: string[]
  readonly events: { name: string; reason?: unknown; publicId?: string | undefined; owner?: string | undefined }[]
  device(): Device
}

const HEARD = ['bind', 'reject', 'sign-in', 'destroy', 'create', 'gone'] as const

/** What a page shows of the session. */
export function seen({ body }: Answer): Seen {
  return JSON.parse(body) as Seen
}

async function page(ctx: Context, manager: SessionManager<Things>): Promise<void> {
  switch (ctx.path) {
    case '/in':
      await manager.signIn('ada')
      break
    case '/in/eve':
      await manager.signIn('eve')
      break
    case '/out':
      await manager.destroy()
      ctx.body = { origin: manager.origin, isBound: false }
      return
    case '/add':
      manager.data.n = (manager.data.n ?? 0) + 1
      break
    case '/id':
      ctx.set('X-Id-Length', String(manager.id.length))
      break
    case '/renew':
      await manager.regenerate()
      break
    case '/fresh':
      await manager.regenerate({ keep: false })
      break
  }
  const { origin, owner, isBound } = manager
  ctx.body = { origin, owner, isBound, n: manager.data.n }
}

/** Records each verb before passing it on. */
function counted(store: SessionStore, calls: string[]): SessionStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        calls.push(String(name))
        return Reflect.apply(value, target, args)
      }
    },
  })
}

/** An app behind a proxy that adds HTTPS. */
function proxied(...middlewares: readonly Middleware[]): Koa {
  const app = new Koa()
  app.keys = [...KEYS]
  app.proxy = true
  app.silent = true
  for (const middleware of middlewares) app.use(middleware)
  return app
}

export async function boundSite(t: ExecutionContext, options: SessionOptions<Things> = {}): Promise<BoundSite> {
  const clock = { now: 1_800_000_000_000 }
  const calls: string[] = []
  const events: BoundSite['events'] = []
  const listeners = HEARD.map((name) => ({
    channel: `koa-fastsession:${name}`,
    hear: (message: unknown) => void events.push({ ...(message as EventMessage), name }),
  }))
  for (const { channel, hear } of listeners) subscribe(channel, hear)
  const middleware = session<Things>({
    now: () => clock.now,
    sweepInterval: false,
    deviceBound: true,
    logger: {},
    ...options,
    store: counted(options.store ?? new MemoryStore(), calls),
  })
  const running = await serve(proxied(middleware, (ctx) => page(ctx, ctx.state.session)))
  t.teardown(async () => {
    for (const { channel, hear } of listeners) unsubscribe(channel, hear)
    await running.close()
    await middleware.close()
  })
  return { running, middleware, clock, calls, events, device: () => new Device(running.browser()) }
}

/** A device that has signed in and registered. */
export async function boundDevice(site: BoundSite): Promise<Device> {
  const device = site.device()
  const registered = await device.register(await device.get('/in'))
  if (registered.status !== 200) throw new Error(`registration was refused: ${registered.status}`)
  return device
}

/** A site with data of its own, whose device has signed in at /in and registered; `answer` is what a path does and shows. */
export async function registeredSite<Data extends object>(
  t: ExecutionContext,
  options: SessionOptions<Data>,
  answer: (manager: SessionManager<Data>, ctx: Context) => Promise<object>,
): Promise<{ device: Device; clock: { now: number }; middleware: SessionMiddleware<Data, string> }> {
  const clock = { now: 1_800_000_000_000 }
  const bound = { now: () => clock.now, deviceBound: true, sweepInterval: false, logger: {} } as const
  const middleware = session<Data>({ ...bound, ...options })
  const show: Middleware = async (ctx) => {
    ctx.body = await answer(currentSession<Data>(), ctx)
  }
  const device = new Device((await served(t, proxied(middleware, show))).browser())
  t.is((await device.register(await device.get('/in'))).status, 200)
  return { device, clock, middleware }
}
