// A scene: an app over a fresh store that fails, hangs or pauses on demand, a clock that only the test moves, and visitors, each
// of whose requests has its own handler. `claim` runs a test in a scene on every store.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import type { EventMessage, EventName } from '../../src/events.ts'
import {
  session,
  type SessionManager,
  type SessionMiddleware,
  type SessionOptions,
  type SessionRecord,
} from '../../src/index.ts'
import { publicIdOf } from '../../src/cookie/id.ts'
import { serve, type Answer, type Browser, type Running } from './app.ts'
import { Barrier, FaultyStore } from './faults.ts'
import { closeStores, openableStores } from './stores.ts'

export const SECOND = 1000
export const MINUTE: number = 60 * SECOND
export const HOUR: number = 60 * MINUTE
export const DAY: number = 24 * HOUR

/** The data of the sessions. */
export interface Contents {
  a?: number
  b?: number
  c?: number
  count?: number
  profile?: { name?: string; city?: string }
  cart?: string[]
}

export type Options = SessionOptions<Contents>
export type Handler<Result> = (session: SessionManager<Contents>, ctx: Context) => Result | Promise<Result>

/** A handler that stops at `wait()` until the test lets it go on. */
export type SlowHandler<Result> = (
  session: SessionManager<Contents>,
  wait: () => Promise<void>,
  ctx: Context,
) => Result | Promise<Result>

/** A request whose handler waits. */
export interface UnderWay<Result> {
  /** Lets the handler go on; resolves with the answer. */
  ends(): Promise<Reply<Result>>
}

export interface Reply<Result> extends Answer {
  /** What the handler returned; `undefined` when it threw or never ran. */
  readonly result: Result | undefined
  /** Whether the handler was called. */
  readonly ran: boolean
  /** The error that reached the app's error listener. */
  readonly error: unknown
  /** The `code` of that error. */
  readonly code: unknown
  /** The Set-Cookie lines of our cookie. */
  readonly sid: readonly string[]
}

export interface Heard extends EventMessage {
  readonly name: EventName
}

interface Turn {
  readonly handler: Handler<unknown>
  result: unknown
  ran: boolean
  error: unknown
}

const EVENTS = [
  'create',
  'resume',
  'reject',
  'commit',
  'merge',
  'conflict',
  'gone',
  'regenerate',
  'destroy',
  'store-error',
] as const

/** A clock that stands still until it is moved. */
export class Clock {
  // A server may expire records by its own clock: the two must agree at the start.
  now: number = Math.ceil(Date.now() / SECOND) * SECOND

  advance(milliseconds: number): void {
    this.now += milliseconds
  }
}

/** Remembers the keys of all records that were ever created. */
class WatchedStore extends FaultyStore {
  readonly keys = new Set<string>()
  closes = 0

  override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
    this.keys.add(record.key)
    return super.create(record, now)
  }

  override async close(): Promise<void> {
    this.closes++
    await super.close()
  }
}

/** One app with the middleware. */
export class Site {
  readonly middleware: SessionMiddleware<Contents>
  readonly running: Running
  /** Every request so far, by the number in its path. */
  readonly turns: Turn[]

  private constructor(middleware: SessionMiddleware<Contents>, running: Running, turns: Turn[]) {
    this.middleware = middleware
    this.running = running
    this.turns = turns
  }

  static async open(options: Options): Promise<Site> {
    const app = new Koa()
    const middleware = session<Contents>(options)
    const turns: Turn[] = []
    const turnOf = ({ path }: Context): Turn => {
      const turn = turns[Number(path.slice(1))]
      if (turn === undefined) throw new Error(`nobody asked for ${path}`)
      return turn
    }
    app.on('error', (error: unknown, ctx: Context) => {
      turnOf(ctx).error = error
    })
    app.use(middleware)
    app.use(async (ctx) => {
      const turn = turnOf(ctx)
      turn.ran = true
      turn.result = await turn.handler(ctx.state.session, ctx)
      ctx.body ??= 'done'
    })
    return new Site(middleware, await serve(app), turns)
  }

  /** A visitor with an empty cookie jar, or with this cookie in it. */
  async visitor(cookie?: string): Promise<Visitor> {
    const browser = this.running.browser()
    if (cookie !== undefined) await browser.jar.setCookie(cookie, this.running.url)
    return new Visitor(this, browser, undefined)
  }

  /** A visitor that always sends this Cookie header and keeps no cookie. */
  sender(header: string): Visitor {
    return new Visitor(this, this.running.browser(), header)
  }
}

/** Sends requests, also several at a time, like the tabs of one browser. */
export class Visitor {
  readonly #site: Site
  readonly #browser: Browser
  readonly #header: string | undefined

  constructor(site: Site, browser: Browser, header: string | undefined) {
    this.#site = site
    this.#browser = browser
    this.#header = header
  }

  /** Sends one request, served by this handler. */
  async does<Result>(handler: Handler<Result>, init: RequestInit = {}): Promise<Reply<Result>> {
    const turn: Turn = { handler, result: undefined, ran: false, error: undefined }
    const path = `/${this.#site.turns.push(turn) - 1}`
    const answer =
      this.#header === undefined
        ? await this.#browser.get(path, init)
        : await this.#browser.send(path, this.#header, init)
    const { ran, error } = turn
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // The cast is safe: only the handler's result is assigned.
    return {
      ...answer,
      ran,
      error,
      code,
      result: turn.result as Result | undefined,
      sid: answer.setCookie.filter((line) => line.startsWith('sid=')),
    }
  }

  /** Sends a request, and resolves once its handler waits at `wait()`. */
  async starts<Result>(handler: SlowHandler<Result>): Promise<UnderWay<Result>> {
    const barrier = new Barrier()
    const reply = this.does((session, ctx) => handler(session, () => barrier.pass(), ctx))
    await barrier.arrived
    return {
      ends(): Promise<Reply<Result>> {
        barrier.open()
        return reply
      },
    }
  }

  /** Sends a request, and resolves once it has loaded its session and before the handler runs. */
  async loads<Result>(handler: Handler<Result>): Promise<UnderWay<Result>> {
    return this.starts(async (session, wait, ctx) => {
      await wait()
      return handler(session, ctx)
    })
  }

  /** The data that is stored for this visitor now. */
  async sees(): Promise<Contents | undefined> {
    return (await this.does(({ data }) => ({ ...data }))).result
  }

  /** The `origin` of the next request's session. */
  async origin(): Promise<string | undefined> {
    return (await this.does(({ origin }) => origin)).result
  }

  /** The Cookie header of the next request; empty without cookies. */
  async cookie(): Promise<string> {
    return this.#header ?? this.#browser.cookie()
  }

  async publicId(): Promise<string> {
    return publicIdIn(await this.cookie())
  }

  /** A visitor that always sends the current cookies and keeps none: for requests that left before something else happened. */
  async snapshot(): Promise<Visitor> {
    return this.#site.sender(await this.cookie())
  }
}

/** The public id of the session of a cookie `name=id.signature`. */
export function publicIdIn(cookie: string): string {
  return publicIdOf(cookie.slice(cookie.indexOf('=') + 1, cookie.lastIndexOf('.')))
}

/** The `name=value` of a Set-Cookie line. */
export function pairOf(line: string | undefined): string {
  return line?.split(';')[0] ?? ''
}

/** The Max-Age of a Set-Cookie line, in seconds. */
export function maxAgeOf(line: string | undefined): number | undefined {
  const found = /; Max-Age=(\d+)/.exec(line ?? '')
  return found === null ? undefined : Number(found[1])
}

export class Scene {
  readonly clock: Clock = new Clock()
  readonly store: WatchedStore
  /** The store under `store`, with its own faults: a call that was paused in `store` can still fail here. */
  readonly beneath: FaultyStore
  readonly events: Heard[] = []
  readonly #options: Options
  readonly #sites: Site[] = []
  readonly #listeners = EVENTS.map((name) => ({
    name: `koa-fastsession:${name}`,
    hear: (message: unknown) => void this.events.push({ ...(message as EventMessage), name }),
  }))

  constructor(store: FaultyStore['inner'], options: Options) {
    this.beneath = new FaultyStore(store)
    this.store = new WatchedStore(this.beneath)
    this.#options = options
    for (const { name, hear } of this.#listeners) subscribe(name, hear)
  }

  /** Another app over the same store, like another process. */
  async mount(options: Options = {}): Promise<Site> {
    // test/scenes/outage.test.ts tests the deadline. Elsewhere a slow machine must not cause an outage.
    const defaults: Options = {
      store: this.store,
      now: () => this.clock.now,
      sweepInterval: false,
      storeTimeout: '20s',
      logger: {},
    }
    const site = await Site.open({ ...defaults, ...this.#options, ...options })
    this.#sites.push(site)
    return site
  }

  /** The records of all live sessions. */
  async live(): Promise<SessionRecord[]> {
    const records = await Promise.all(
      [...this.store.keys].map(async (key) => this.beneath.inner.read(key, this.clock.now)),
    )
    return records.filter((record) => record !== undefined && record.payload.length > 0) as SessionRecord[]
  }

  /** The record behind a cookie. */
  async record(cookie: string): Promise<SessionRecord | undefined> {
    return this.beneath.inner.read(publicIdIn(cookie), this.clock.now)
  }

  /** Changes a record without the middleware. */
  async tamper(cookie: string, changes: Partial<SessionRecord>): Promise<void> {
    const record = await this.record(cookie)
    if (record === undefined) throw new Error('there is no such record')
    const outcome = await this.beneath.inner.replace(
      { ...record, version: record.version + 1, ...changes },
      record.version,
      this.clock.now,
    )
    if (outcome !== 'done') throw new Error(`the record could not be changed: ${outcome}`)
  }

  heard(name: EventName): Heard[] {
    return this.events.filter((event) => event.name === name)
  }

  async close(): Promise<void> {
    for (const { name, hear } of this.#listeners) unsubscribe(name, hear)
    this.store.heal()
    this.beneath.heal()
    await Promise.all(this.#sites.map(({ running }) => running.close()))
  }
}

export interface Stage {
  readonly scene: Scene
  readonly store: Scene['store']
  readonly clock: Clock
  readonly site: Site
  /** A visitor without cookies. */
  readonly visitor: Visitor
}

type Play = (t: ExecutionContext, stage: Stage) => Promise<void>
interface Claim {
  (title: string, play: Play): void
  (title: string, options: Options, play: Play): void
}

const stores = await openableStores()
test.after.always(closeStores)

/** The timeout of a test, in milliseconds, for store calls that never come. */
const LONGEST = 120_000

function claimWith(declare: typeof test.serial): Claim {
  return (title: string, ...rest: [Play] | [Options, Play]) => {
    const [options, play] = rest.length === 1 ? [{}, rest[0]] : rest
    for (const store of stores) {
      // One at a time: events and unhandled rejections are global to the process.
      declare(`${store.name}: ${title}`, async (t) => {
        t.timeout(LONGEST)
        const scene = new Scene(store.open(), options)
        try {
          const site = await scene.mount()
          await play(t, { scene, store: scene.store, clock: scene.clock, site, visitor: await site.visitor() })
        } finally {
          await scene.close()
        }
      })
    }
  }
}

/** Declares a test for every store, each in its own scene with these options. */
export const claim: Claim = claimWith(test.serial)

// AVA's types of the two differ, but a claim uses only what both have.
/** A claim that is known to fail. */
export const failing: Claim = claimWith(test.serial.failing as typeof test.serial)

/** Looks in now and then for a while; resolves to the last origin that it saw. */
export async function staysActive(
  visitor: Visitor,
  clock: Clock,
  step: number,
  times: number,
): Promise<string | undefined> {
  let origin: string | undefined
  for (let turn = 0; turn < times; turn++) {
    clock.advance(step)
    origin = await visitor.origin()
  }
  return origin
}
