// A day of a small service in one process, from a seed: processes with the real middleware over one simulated store,
// browsers, lost and late answers, processes that are killed, clocks that are apart. Judged by check.ts.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { SessionOptions } from '../../src/index.ts'
import { isPromise, type SessionStore } from '../../src/store.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { historyApp } from './app.ts'
import { check, type Verdict } from './check.ts'
import { Clients, type Reply } from './clients.ts'
import type { History, Operation } from './history.ts'
import { Simulator } from './simulator.ts'

const NOON = 1_800_000_000_000
/** How many there are of a day: where all requests of a session meet in one process, they are stored together. */
const PROCESSES = [3, 3, 1]
/** The store gives fewer records at a time than it is asked for, so that sessions change while they are listed. */
const PORTION = 4
const STORE_TIMEOUT = 500
/** Browsers, and tabs of each: the more tabs, the more happens in one session at one time. */
const CROWDS: readonly (readonly [number, number])[] = [
  [2, 3],
  [1, 8],
  [2, 8],
  [1, 20],
]
/** Clients give up after that. */
const PATIENCE = 30_000
const SOCKET = new Socket()

/** How often each thing goes wrong, of a thousand store calls. */
interface Weather {
  /** The store answers at once, and nothing overlaps. */
  readonly atOnce: number
  /** The longest that a call takes on its way, either way, in milliseconds. */
  readonly way: number
  readonly lostCall: number
  readonly lostAnswer: number
  readonly failedBefore: number
  readonly failedAfter: number
  readonly twice: number
  /** The call happens long after its deadline. */
  readonly muchLater: number
}

const CALM = { lostCall: 0, lostAnswer: 0, failedBefore: 0, failedAfter: 0, twice: 0, muchLater: 0 }
/** The store is well, and what it answers often gets lost. */
const DEAF = { ...CALM, lostAnswer: 40, failedAfter: 40 }
const STORM = { lostCall: 6, lostAnswer: 10, failedBefore: 6, failedAfter: 10, twice: 10, muchLater: 8 }

const WEATHERS: readonly Weather[] = [
  { ...CALM, atOnce: 1000, way: 0 },
  { ...CALM, atOnce: 0, way: 3 },
  { ...CALM, atOnce: 0, way: 80 },
  { ...CALM, atOnce: 300, way: 5 },
  { ...DEAF, atOnce: 0, way: 20 },
  { ...STORM, atOnce: 0, way: 3 },
  { ...STORM, atOnce: 0, way: 60 },
  { ...STORM, atOnce: 300, way: 20 },
]

const POLICIES: readonly SessionOptions[] = [
  {},
  { rolling: true, maxAge: '1h' },
  { onConflict: 'throw' },
  { lazy: false },
  { idleTimeout: '2s' },
]

export interface Episode {
  readonly seed: number
  readonly steps: number
  readonly history: History
  readonly verdict: Verdict
  /** What happened, in order, where that was asked for. */
  readonly schedule: readonly string[]
}

/** Plays one episode: `steps` events at most, and what they bring to an end. */
export async function simulate(seed: number, steps: number, isTold = false): Promise<Episode> {
  return new World(seed, isTold).play(steps)
}

class World {
  readonly #simulator: Simulator
  readonly #seed: number
  readonly #inner = new MemoryStore()
  readonly #weather: Weather
  readonly #policy: SessionOptions
  readonly #skew: number
  readonly #processes: number
  readonly #operations: Operation[] = []
  readonly #told: string[] | undefined
  #houses: House[] = []
  #ids = 0
  #lives = 0
  #isOver = false

  constructor(seed: number, isTold: boolean) {
    this.#seed = seed
    this.#told = isTold ? [] : undefined
    const simulator = (this.#simulator = new Simulator(seed))
    const one = <T>(list: readonly T[]): T => list[Math.floor(simulator.random() * list.length)] as T // never empty
    this.#weather = one(WEATHERS)
    this.#policy = simulator.random() < 0.5 ? {} : one(POLICIES)
    this.#skew = one([0, 0, 40, 1500])
    this.#processes = one(PROCESSES)
  }

  async play(steps: number): Promise<Episode> {
    const simulator = this.#simulator
    this.#tell(
      `weather ${JSON.stringify(this.#weather)}, policy ${JSON.stringify(this.#policy)}, skew ${this.#skew}, processes ${this.#processes}`,
    )
    simulator.after(0, () => {
      this.#houses = Array.from({ length: this.#processes }, () => this.#open())
      const clients = new Clients({
        processes: this.#processes,
        random: simulator.random,
        clock: () => simulator.now,
        sleep: (milliseconds) => simulator.sleep(milliseconds),
        isOver: () => this.#isOver,
        record: (operation) => {
          this.#operations.push(operation)
          this.#tell(`${operation.outcome} ${JSON.stringify(operation)}`)
        },
        ask: (at, path, cookie) => this.#ask(at, path, cookie),
      })
      const [browsers = 1, tabs = 1] = CROWDS[Math.floor(simulator.random() * CROWDS.length)] ?? []
      void clients.run(browsers, tabs, 1)
      if (simulator.random() < 0.4) simulator.after(simulator.random() * 2000, () => this.#crash())
    })
    await simulator.run(steps)
    this.#isOver = true
    // What is under way comes to its end.
    await simulator.run(simulator.steps + steps + 20_000)
    const about = {
      store: 'simulated',
      seed: this.#seed,
      skew: this.#skew,
      isRolling: this.#policy.rolling === true,
      isBrief: this.#policy.idleTimeout !== undefined,
    }
    const history = { about, operations: this.#operations }
    return { seed: this.#seed, steps: simulator.steps, history, verdict: check(history), schedule: this.#told ?? [] }
  }

  #tell(what: string): void {
    this.#told?.push(`${this.#simulator.now.toFixed(3)} ${what}`)
  }

  /** A process dies, and another one takes its place. */
  #crash(): void {
    if (this.#isOver) return
    const { random } = this.#simulator
    const at = Math.floor(random() * this.#processes)
    const house = this.#houses[at]
    if (house !== undefined) this.#simulator.kill(house.process)
    this.#tell(`process ${at} is killed`)
    this.#houses[at] = this.#open()
    this.#simulator.after(200 + random() * 3000, () => this.#crash())
  }

  #open(): House {
    const process = ++this.#lives
    const { random } = this.#simulator
    const apart = (random() * 2 - 1) * this.#skew
    const policy = this.#policy
    const { app } = historyApp({
      ...policy,
      store: this.#store(process),
      storeTimeout: STORE_TIMEOUT,
      now: () => Math.floor(NOON + this.#simulator.now + apart),
      generateId: () => `simulated-session-${String(++this.#ids).padStart(8, '0')}`,
    })
    return { process, answer: app.callback() }
  }

  async #ask(at: number, path: string, cookie: string | undefined): Promise<Reply | undefined> {
    const simulator = this.#simulator
    const house = this.#houses[at]
    if (house === undefined) return undefined
    const client = simulator.current
    return new Promise((resolve) => {
      // A process that lives must answer.
      simulator.after(PATIENCE, () => resolve({ status: 504, setCookie: [], body: '{}' }))
      const serve = (): void => {
        // A connection to a dead process is refused, or breaks.
        void answered(house, path, cookie).then((reply) =>
          simulator.after(simulator.random() * 2, () => resolve(reply), client),
        )
      }
      simulator.after(simulator.random() * 2, serve, house.process)
      const watch = (): void => {
        if (simulator.isDead(house.process)) resolve(undefined)
        else if (!this.#isOver) simulator.after(1000, watch)
      }
      simulator.after(1000, watch)
    })
  }

  /** The store as one process reaches it. */
  #store(process: number): SessionStore {
    const inner = this.#inner
    const call = <T>(what: string, ask: () => T | Promise<T>): T | Promise<T> => this.#call(process, what, ask)
    return {
      create: (record, now) => call(`create ${record.key}`, () => inner.create(record, now)),
      read: (key, now) => call(`read ${key}`, () => inner.read(key, now)),
      replace: (record, version, now) =>
        call(`replace ${record.key} ${version} by ${String(record.payload)}`, () =>
          inner.replace(record, version, now),
        ),
      touch: (key, version, seenAt, expiresAt, now) =>
        call(`touch ${key} ${version}`, () => inner.touch(key, version, seenAt, expiresAt, now)),
      delete: (key) => call(`delete ${key}`, () => inner.delete(key)),
      list: (owner, now, limit, cursor) => call('list', () => inner.list(owner, now, Math.min(limit, PORTION), cursor)),
      listKeys: (owner, now, limit, cursor) => call('listKeys', () => inner.listKeys(owner, now, limit, cursor)),
      scan: (now, limit, cursor) => call('scan', () => inner.scan(now, Math.min(limit, PORTION), cursor)),
    }
  }

  #call<T>(process: number, what: string, ask: () => T | Promise<T>): T | Promise<T> {
    const { random } = this.#simulator
    const weather = this.#weather
    const told = (answer: T | Promise<T>): T | Promise<T> => {
      this.#tell(`process ${process} ${what}: ${isPromise(answer) ? '' : JSON.stringify(answer)}`)
      return answer
    }
    if (random() * 1000 < weather.atOnce) return told(ask())
    const { lostCall, lostAnswer, failedBefore, failedAfter, twice, muchLater, way } = weather
    let fate = random() * 1000
    const isFate = (share: number): boolean => (fate -= share) < 0 && fate >= -share
    const simulator = this.#simulator
    const here = simulator.current
    // What a store does is not undone by the death of who asked: the call is the store's own work.
    return new Promise<T>((resolve, reject) => {
      if (isFate(lostCall)) return
      if (isFate(failedBefore)) {
        simulator.after(random() * way, () => reject(new Error('connection refused')), here)
        return
      }
      const isLost = isFate(lostAnswer)
      const isFailed = isFate(failedAfter)
      // A command that a network carries twice: the first one is answered.
      const isTwice = isFate(twice)
      const delay = isFate(muchLater) ? STORE_TIMEOUT + random() * 3000 : random() * way
      simulator.after(
        delay,
        () => {
          const answer = told(ask())
          if (isTwice) simulator.after(random() * way * 3, () => void told(ask()), STORE)
          if (isLost) return
          const back = random() * way
          if (isFailed) simulator.after(back, () => reject(new Error('connection reset')), here)
          else simulator.after(back, () => resolve(answer), here)
        },
        STORE,
      )
    })
  }
}

const STORE = -2

interface House {
  readonly process: number
  readonly answer: ReturnType<ReturnType<typeof historyApp>['app']['callback']>
}

/** One request without a network. */
async function answered({ answer }: House, path: string, cookie: string | undefined): Promise<Reply> {
  const request = new IncomingMessage(SOCKET)
  request.method = 'GET'
  request.url = path
  request.headers.host = 'localhost'
  if (cookie !== undefined) request.headers.cookie = cookie
  const response = new ServerResponse(request)
  let body = ''
  const end = response.end.bind(response) as (chunk?: unknown) => ServerResponse
  response.end = ((chunk?: unknown) => {
    body = typeof chunk === 'string' ? chunk : ''
    return end(chunk)
  }) as typeof response.end
  await answer(request, response)
  const setCookie = [response.getHeader('set-cookie') ?? []].flat() as string[]
  return { status: response.statusCode, setCookie, body }
}
