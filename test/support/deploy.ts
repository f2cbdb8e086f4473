// A deploy: processes replace one another while visitors send requests. Reports what became of the visitors' sessions.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Entries } from './releases.ts'

const PROGRAM = fileURLToPath(new URL('deploy-worker.js', import.meta.url))
const LONGEST = 30_000
// Visitors pause between two requests, in milliseconds, and leave the CPU to the processes that start.
const PAUSE = 10

/** What a process serves. */
export interface Orders {
  /** A version of this package, or an app with the old middleware. */
  readonly app: Entries | 'koa-session' | 'express-session'
  readonly store: { readonly redis: number } | { readonly postgres: string }
  readonly keys: readonly string[]
  readonly encryptionKeys?: readonly string[]
  /** The old middleware whose sessions are taken over. */
  readonly from?: 'koa-session' | 'express-session'
  /** The secrets that the old middleware signs with. */
  readonly oldSecrets?: readonly string[]
}

/** The response of a process. */
export interface Told {
  readonly status: number
  readonly setCookie: readonly string[]
  readonly origin?: string
  readonly owner?: string
  readonly publicId?: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly result?: unknown
}

/** A process that serves. */
export class Server {
  readonly url: string
  readonly #kill: () => Promise<void>
  #underWay = 0
  #isIdle = (): void => undefined

  constructor(url: string, kill: () => Promise<void>) {
    this.url = url
    this.#kill = kill
  }

  async ask(path: string, cookie: string): Promise<Told> {
    this.#underWay++
    try {
      const response = await fetch(this.url + path, {
        headers: cookie === '' ? {} : { cookie },
        signal: AbortSignal.timeout(LONGEST),
      })
      const text = await response.text()
      const body = response.status === 200 ? (JSON.parse(text) as object) : {}
      return { ...body, status: response.status, setCookie: response.headers.getSetCookie() }
    } finally {
      if (--this.#underWay === 0) this.#isIdle()
    }
  }

  /** Ends the process once its last request is answered. */
  async stop(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#isIdle = resolve))
    await this.#kill()
  }
}

const running = new Set<() => Promise<unknown>>()

/** Ends the processes that a failed test left running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((kill) => kill()))
}

/** Starts a process; it ends with this one. */
export async function launch(orders: Orders): Promise<Server> {
  const child = fork(PROGRAM, [JSON.stringify(orders)], { execArgv: [] })
  const end = (): boolean => child.kill('SIGKILL')
  process.once('exit', end)
  const gone = once(child, 'exit').finally(() => {
    process.off('exit', end)
    running.delete(kill)
  })
  const kill = async (): Promise<void> => {
    end()
    await gone
  }
  running.add(kill)
  const died = gone.then(() => Promise.reject(new Error('a process of the deploy did not start')))
  const [{ port }] = (await Promise.race([once(child, 'message'), died])) as [{ port: number }]
  died.catch(() => undefined) // from now on it may exit
  return new Server(`http://127.0.0.1:${port}`, kill)
}

/** A browser whose requests may reach any process: cookies are not bound to ports. */
export class Visitor {
  readonly cookies = new Map<string, string>()
  answers = 0

  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  async ask(server: Server, path: string): Promise<Told> {
    const told = await server.ask(path, this.cookie)
    this.answers++
    this.take(told)
    return told
  }

  /** Keeps the cookies that a browser would keep. */
  take({ setCookie }: Told): void {
    for (const line of setCookie) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/; *(?:max-age=0|expires=thu, 01 jan 1970)/i.test(line)) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
  }
}

/** What became of the sessions of a deploy's visitors. */
export interface Outcome {
  readonly requests: number
  /** Acknowledged changes that are missing from a response. */
  readonly lost: readonly string[]
  /** Responses that show a visitor as signed out who had not signed out. */
  readonly loggedOut: readonly string[]
  /** Responses other than 200. */
  readonly failed: readonly string[]
}

/** Visitors that sign in and keep changing their sessions, with requests to each place in turn, whichever process serves there. */
export class Deploy {
  readonly places: Server[]
  readonly #visitors: readonly Visitor[]
  readonly #lost: string[] = []
  readonly #loggedOut: string[] = []
  readonly #failed: string[] = []
  readonly #work: Promise<unknown>
  #isEnding = false
  #heard = (): void => undefined

  private constructor(places: Server[], visitors: number) {
    this.places = places
    this.#visitors = Array.from({ length: visitors }, () => new Visitor())
    this.#work = Promise.all(this.#visitors.map((visitor, at) => this.#live(visitor, `visitor${at}`)))
    this.#work.catch(() => undefined) // reported by end()
  }

  /** One process in each place. */
  static async begin(places: readonly Orders[], visitors = 4): Promise<Deploy> {
    return new Deploy(await Promise.all(places.map(launch)), visitors)
  }

  /** Replaces the process in a place. The old one ends when it has answered all its requests. */
  async replace(place: number, orders: Orders): Promise<void> {
    const [before, next] = [this.places[place], await launch(orders)]
    this.places[place] = next
    await before?.stop()
  }

  /** Resolves when every visitor has had this many more responses. */
  async further(answers: number): Promise<void> {
    const goals = this.#visitors.map((visitor) => visitor.answers + answers)
    const reached = new Promise<void>((resolve) => {
      this.#heard = () => {
        if (this.#visitors.every((visitor, at) => visitor.answers >= (goals[at] ?? 0))) resolve()
      }
    })
    await Promise.race([reached, this.#work])
  }

  async end(): Promise<Outcome> {
    this.#isEnding = true
    await this.#work
    return {
      requests: this.#visitors.reduce((sum, { answers }) => sum + answers, 0),
      lost: this.#lost,
      loggedOut: this.#loggedOut,
      failed: this.#failed,
    }
  }

  async close(): Promise<void> {
    this.#isEnding = true
    await this.#work.catch(() => undefined)
    await Promise.all(this.places.map((server) => server.stop()))
  }

  async #live(visitor: Visitor, name: string): Promise<void> {
    const expected: Record<string, unknown> = {}
    let owner: string | undefined
    for (let turn = 0; !this.#isEnding; turn++) {
      // A few keys, so that sessions stay small, and a new id from time to time.
      const key = `key${turn % 7}`
      const path =
        turn === 0 ? `/login/${name}` : turn % 11 === 10 ? '/again' : turn % 3 === 0 ? `/put/${key}` : '/increment/n'
      const server = this.places[turn % this.places.length]
      if (server === undefined) return
      const told = await visitor.ask(server, path)
      if (told.status !== 200) this.#failed.push(`${name}, turn ${turn}, ${path}: ${told.status}`)
      else {
        if (path.startsWith('/login')) owner = name
        if (path.startsWith('/put')) expected[key] = key
        if (path.startsWith('/increment')) expected['n'] = Number(expected['n'] ?? 0) + 1
        if (told.owner !== owner) this.#loggedOut.push(`${name}, turn ${turn}, ${path}: ${String(told.origin)}`)
        for (const [kept, value] of Object.entries(expected))
          if (told.data?.[kept] !== value)
            this.#lost.push(
              `${name}, turn ${turn}, ${path}: ${kept} is ${String(told.data?.[kept])}, not ${String(value)}`,
            )
      }
      this.#heard()
      await sleep(PAUSE)
    }
  }
}
