// Visitors that count in their sessions, one request after another, while something breaks.
import { setTimeout as sleep } from 'node:timers/promises'
import Koa from 'koa'
import { session, SessionError, type SessionStore } from '../../src/index.ts'
import { serve, type Browser } from './app.ts'

/** The response of the app: the origin of the session and its count. */
interface Counted {
  readonly origin: string
  readonly count: number
}

export interface Visitor {
  readonly browser: Browser
  readonly cookie: string
  /** The number of requests to count. */
  sent: number
  /** The highest count that was acknowledged. */
  acknowledged: number
  /** The number of acknowledged requests since the load began. */
  successes: number
  outages: number
}

export interface Load {
  readonly visitors: readonly Visitor[]
  /** Descriptions of wrong responses. */
  readonly wrong: string[]
  /** Resolves when every visitor has had this many more counts, or outages. */
  further(what: 'successes' | 'outages', times: number): Promise<void>
  /** Ends the load. Resolves with the count of each session, read once the store works again. */
  end(): Promise<readonly Counted[]>
  close(): Promise<void>
}

/** How many visitors count at once. */
export const VISITORS = 4
const LONGEST = 120_000

/** Serves an app over a store and begins to count. */
export async function startLoad(store: SessionStore, storeTimeout: number): Promise<Load> {
  const app = new Koa()
  app.silent = true
  app.use(session<{ count?: number }>({ store, storeTimeout, sweepInterval: false, logger: {} }))
  app.use(async (ctx) => {
    const manager = ctx.state.session
    if (ctx.path === '/count')
      await manager.update(
        (data) => ((data as { count?: number }).count = ((data as { count?: number }).count ?? 0) + 1),
      )
    ctx.body = { origin: manager.origin, count: (manager.data as { count?: number }).count ?? 0 }
  })
  const running = await serve(app)
  const wrong: string[] = []
  let isEnding = false
  let heard = (): void => undefined

  const visitors = await Promise.all(
    Array.from({ length: VISITORS }, async (): Promise<Visitor> => {
      const browser = running.browser()
      // On a busy machine the first connection may miss the deadline.
      for (const end = Date.now() + LONGEST; (await browser.get('/count')).status !== 200;) {
        if (Date.now() > end) throw new Error('no session could be begun')
      }
      return { browser, cookie: await browser.cookie(), sent: 1, acknowledged: 1, successes: 0, outages: 0 }
    }),
  )

  const count = async (visitor: Visitor): Promise<void> => {
    visitor.sent++
    const { status, body, setCookie } = await visitor.browser.send('/count', visitor.cookie)
    if (setCookie.length > 0) wrong.push(`a ${status} with a cookie`)
    if (status === 503) {
      visitor.outages++
      await sleep(5) // refused connections fail at once
    } else if (status === 200) {
      const told = JSON.parse(body) as Counted
      visitor.successes++
      if (told.origin !== 'resumed') wrong.push(`a session that is ${told.origin}`)
      if (told.count <= visitor.acknowledged) wrong.push(`${told.count} after ${visitor.acknowledged}`)
      visitor.acknowledged = told.count
    } else wrong.push(`a ${status}`)
    heard()
  }
  const counting = Promise.all(
    visitors.map(async (visitor) => {
      while (!isEnding) await count(visitor)
    }),
  )

  return {
    visitors,
    wrong,
    async further(what, times) {
      const goals = visitors.map((visitor) => visitor[what] + times)
      await within(
        `${times} ${what} of every visitor`,
        new Promise<void>((resolve) => {
          heard = () => {
            if (visitors.every((visitor, at) => visitor[what] >= (goals[at] ?? 0))) resolve()
          }
        }),
      )
    },
    async end() {
      isEnding = true
      await counting
      for (const error of running.errors) {
        if (!(error instanceof SessionError && error.code === 'ERR_SESSION_STORE'))
          wrong.push(`the error ${String(error)}`)
      }
      return Promise.all(
        visitors.map(async ({ browser, cookie }) => {
          for (const end = Date.now() + LONGEST; ;) {
            const { status, body } = await browser.send('/', cookie)
            if (status === 200) return JSON.parse(body) as Counted
            if (Date.now() > end) throw new Error(`the store does not work again: ${status}`)
          }
        }),
      )
    },
    async close() {
      isEnding = true
      await running.close()
      await counting.catch(() => undefined) // connections of a failed test
    },
  }
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  const stop = new AbortController()
  const late = sleep(LONGEST, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`there were no ${what} within ${LONGEST} ms`)
  })
  late.catch(() => undefined) // the work ended in time
  try {
    return await Promise.race([work, late])
  } finally {
    stop.abort()
  }
}
