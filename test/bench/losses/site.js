// An app of one library on a free loopback port.
import { createServer } from 'node:http'
import { Browser } from './browser.js'
import { Probe } from './probe.js'

export const KEYS = [
  'the newest secret of these apps, long enough for all',
  'the secret before it, which is just as long as that',
]

/**
 * What an app does with the session of one request: each library in its own words.
 *
 * @typedef {object} Visit
 * @property {Record<string, any>} data what the session holds
 * @property {(user: string) => Promise<void>} login a new id for the session, and `data.user`
 * @property {() => Promise<void>} logout ends the session
 * @property {(key: string) => Promise<void>} increment adds 1 by the best means that the library has
 * @property {(name: string, value: string) => void} setCookie a cookie of the app's own
 */

/**
 * A library, or one way to configure it.
 *
 * @typedef {object} Adapter
 * @property {string} name of its package
 * @property {string} configured what was set, and how logins, logouts and increments are made
 * @property {boolean} [isStateless] the cookie holds the data: there is no store, and nothing that scenes about stores could see
 * @property {() => unknown} openStore a store for one scene
 * @property {(store: any) => void} [closeStore] what has to be done so that the process can end
 * @property {(store: unknown, probe: Probe, routes: Routes, options: Options) => Promise<Listener> | Listener} listen
 * @property {(value: string) => string} idIn the id that the value of a session cookie carries
 *
 * @typedef {Readonly<Record<string, (visit: Visit) => unknown>>} Routes
 * @typedef {{ keys: readonly string[], maxAge?: number, sameSite?: 'lax', rolling?: boolean, now: () => number }} Options
 * @typedef {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void} Listener
 */

/** Thrown where a library does not have what a scene is about. */
export class NotOffered extends Error {}

/** What every site answers, beside the routes of its scene. */
const COMMON = {
  '/look': ({ data }) => data ?? {},
  '/login': async (visit) => {
    await visit.login('ann')
    return 'welcome'
  },
  '/logout': async (visit) => {
    await visit.logout()
    return 'bye'
  },
}

/**
 * Serves routes with a library until `close`.
 *
 * @param {Adapter} adapter
 * @param {Routes} routes
 * @param {Partial<Options> & { store?: unknown }} options another site's `store` shares its sessions
 */
export async function serve(adapter, routes, { store = adapter.openStore(), ...options } = {}) {
  const probe = new Probe()
  if (adapter.isStateless) {
    probe.break = () => {
      throw new NotOffered('no store')
    }
  }
  // Only where a library lets the clock be set; the others renew with every response and need none.
  let ahead = 0
  const listener = await adapter.listen(
    store,
    probe,
    { ...COMMON, ...routes },
    { keys: KEYS, now: () => Date.now() + ahead, ...options },
  )
  const server = createServer(listener)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  return {
    adapter,
    probe,
    store,
    url,
    browser: () => new Browser(url),
    /** A browser that signed in here. */
    async member() {
      const browser = new Browser(url)
      await browser.get('/login')
      await probe.settled()
      return browser
    },
    /** Who the browser is signed in as. */
    async user(browser) {
      const { body } = await browser.get('/look')
      await probe.settled()
      return body?.user
    },
    /** What a session holds, looked at with a Cookie header from outside. */
    async look(cookie) {
      const { status, body } = await new Browser(url).send('/look', cookie)
      await probe.settled()
      return status === 200 ? body : {}
    },
    later: (milliseconds) => (ahead += milliseconds),
    async close() {
      await probe.settled()
      adapter.closeStore?.(store)
      await new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })
    },
  }
}

/** An answer that a handler throws. */
export function refusal(status, message) {
  return Object.assign(new Error(message), { status, statusCode: status, expose: true })
}
