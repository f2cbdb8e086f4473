// The shop, put together.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { bodyParser } from '@koa/bodyparser'
import Koa from 'koa'
import { session, type SessionOptions, type SessionStore } from 'koa-fastsession'
import { accountRoutes } from './account.ts'
import { adminRoutes } from './admin.ts'
import { assets } from './assets.ts'
import { cartRoutes } from './cart.ts'
import { deviceRoutes } from './devices.ts'
import { ownFormsOnly, safeHeaders } from './guard.ts'
import { Ledger } from './ledger.ts'
import { liveRoutes, LiveView } from './live.ts'
import { Frame } from './page.ts'
import { thiefRoutes } from './thief.ts'
import { errorPages, troubleRoutes } from './trouble.ts'
import type { Users } from './users.ts'
import { MOST_DEVICES, type Shop, type Visitor } from './visitor.ts'

export interface DemoOptions {
  readonly store: SessionStore
  readonly users: Users
  readonly keys: readonly string[]
  readonly now?: () => number
  /** How long the printer of gift cards takes. */
  readonly print?: () => Promise<void>
  /** Binds sessions to keys of their browsers' own, where it is served over HTTPS. */
  readonly deviceBound?: boolean
  readonly logger?: NonNullable<SessionOptions['logger']>
  /** How long the store may take to answer. */
  readonly storeTimeout?: NonNullable<SessionOptions['storeTimeout']>
}

export interface Demo {
  readonly app: Koa
  readonly server: Server
  close(): Promise<void>
}

const COOKIE = 'sid'

export function openDemo(options: DemoOptions): Demo {
  const { store, users, keys, now = Date.now, print = () => pause(3000), deviceBound = false } = options
  const { logger, storeTimeout } = options
  const ledger = new Ledger(COOKIE)
  const sessions = session<Visitor>({
    keys: [...keys],
    store: ledger.watch(store),
    cookie: { name: COOKIE },
    device: true,
    maxPerOwner: MOST_DEVICES,
    ...(deviceBound && { deviceBound }),
    now,
    ...(logger && { logger }),
    ...(storeTimeout !== undefined && { storeTimeout }),
  })
  const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const shop: Shop = { sessions, users, now, print, address, unplug: (milliseconds) => ledger.unplug(milliseconds) }
  const frame = new Frame(ledger, now)

  const app = new Koa()
  app.use(safeHeaders)
  app.use(assets)
  app.use(ledger.middleware())
  app.use(errorPages(frame))
  app.use(ownFormsOnly)
  app.use(sessions)
  app.use(bodyParser({ enableTypes: ['form'], formLimit: '8kb' }))
  for (const routes of [cartRoutes, accountRoutes, deviceRoutes, thiefRoutes, liveRoutes, adminRoutes, troubleRoutes])
    app.use(routes(shop, frame).routes())

  // Koa's handler answers every error itself: its promise is nobody's business.
  const serve = app.callback()
  const server = createServer((request, response) => void serve(request, response))
  const live = new LiveView(shop, server)
  return {
    app,
    server,
    async close() {
      live.close()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      await sessions.close()
      ledger.close()
    },
  }
}
