// Four processes of node:cluster that serve one app on one port, over a store that they share.
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Browser } from './app.ts'
import type { Orders, Shared } from './fleet-worker.ts'
import { endWithUs, freePort } from './service.ts'

const PROCESSES = 4
/** The limit of live sessions per owner. */
export const MOST = 5
const PROGRAM = fileURLToPath(new URL('fleet-worker.ts', import.meta.url))
const LOADER = new URL('loader.js', import.meta.url).href

/** The response to one request. */
export interface Told {
  readonly status: number
  readonly setCookie: readonly string[]
  /** The process that answered; `undefined` for errors. */
  readonly process: number | undefined
  readonly body: unknown
}

export interface Fleet {
  /** Sends a request with the cookie of this session; `undefined` if the connection broke or no answer came in time. */
  send(path: string, cookie?: string, limit?: number): Promise<Told | undefined>
  /** One answer from every process. */
  ofEach(path: string, cookie: string): Promise<readonly Told[]>
  /** The Cookie header of a new session, which this request begins. */
  begin(path: string): Promise<string>
  /** Resolves once this many requests are held in their handlers. */
  held(count: number): Promise<void>
  /** Lets all held requests go on. */
  release(): void
  /** Kills one process and starts another one. */
  replaceOne(): Promise<void>
  close(): Promise<void>
}

/** Starts the processes; resolves when all of them listen. */
export async function startFleet(shared: Shared): Promise<Fleet> {
  const port = await freePort()
  const orders: Orders = { port, shared, maxPerOwner: MOST }
  const url = `http://127.0.0.1:${port}`
  const browser = new Browser(url)
  const workers = new Set<Worker>()
  let holding = 0
  let holdingEnough = (): void => undefined

  const launch = async (): Promise<void> => {
    cluster.setupPrimary({
      exec: PROGRAM,
      args: [JSON.stringify(orders)],
      execArgv: ['--import', LOADER, '--disable-warning=ExperimentalWarning'],
    })
    const worker = cluster.fork()
    workers.add(worker)
    endWithUs(worker.process)
    worker.once('exit', () => workers.delete(worker))
    // A connection could not be handed to a process that was killed. Its requests get no answer, which `send` reports.
    worker.on('error', () => undefined)
    worker.on('message', () => {
      holding++
      holdingEnough()
    })
    const died = once(worker, 'exit').then(() => {
      throw new Error('a process of the fleet did not start')
    })
    await Promise.race([once(worker, 'listening'), died])
    died.catch(() => undefined) // from now on it may exit
  }
  const end = async (worker: Worker): Promise<void> => {
    const gone = once(worker, 'exit')
    worker.process.kill('SIGKILL')
    await gone
  }
  await Promise.all(Array.from({ length: PROCESSES }, launch))

  const fleet: Fleet = {
    async send(path, cookie = '', limit = 120_000) {
      let answer
      try {
        // A connection that was being handed to a process when that was killed stays open and is never served.
        answer = await browser.send(path, cookie, { signal: AbortSignal.timeout(limit) })
        // On a busy machine the other processes may hold SQLite's lock for 1.8 seconds. Then nothing was written: try again.
        for (let tries = 0; tries < 30 && shared.kind === 'sqlite' && answer.status === 503; tries++)
          answer = await browser.send(path, cookie, { signal: AbortSignal.timeout(limit) })
      } catch {
        return undefined // the outcome of the request is unknown
      }
      const { status, setCookie, body } = answer
      if (status !== 200) return { status, setCookie, process: undefined, body }
      // The body as fleet-worker.ts writes it.
      return { status, setCookie, ...(JSON.parse(body) as Pick<Told, 'process' | 'body'>) }
    },
    async ofEach(path, cookie) {
      const answers = new Map<number, Told>()
      for (const end = Date.now() + 120_000; answers.size < PROCESSES;) {
        if (Date.now() > end) throw new Error(`only ${answers.size} processes answer`)
        for (const told of await Promise.all(Array.from({ length: PROCESSES }, () => fleet.send(path, cookie)))) {
          if (told?.process !== undefined) answers.set(told.process, told)
        }
      }
      return [...answers.values()]
    },
    async begin(path) {
      const visitor = new Browser(url)
      await visitor.get(path)
      return visitor.cookie()
    },
    held: (count) =>
      new Promise((resolve) => {
        holdingEnough = () => {
          if (holding >= count) resolve()
        }
        holdingEnough()
      }),
    release() {
      for (const worker of workers) worker.send('release')
    },
    async replaceOne() {
      const [first] = workers
      if (first !== undefined) await end(first)
      await launch()
    },
    async close() {
      await Promise.all([...workers].map(end))
    },
  }
  return fleet
}
