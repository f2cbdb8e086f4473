// Plays one scenario through the real middleware with the option `owner`: two apps over one store, requests without a network, and
// browsers that keep the last cookie that they received. Every response is compared with what the model expects.
import { isDeepStrictEqual } from 'node:util'
import { session, SessionError, type SessionStore } from '../../../src/index.ts'
import { hearConflicts } from '../model/heard.ts'
import { answerOf, houseOf, keyIn, requestTo, statusOf, type Answer, type Handler, type House } from '../model/house.ts'
import { LIFETIMES, type Lifetime } from '../model/scenario.ts'
import { Schedule, withPauses } from '../model/schedule.ts'
import { ToldStore } from '../model/told-store.ts'
import { Book } from './book.ts'
import { Request } from './request.ts'
import { ownerIn, type Call, type Data, type Errand, type Owner, type Scenario, type Step } from './scenario.ts'
import { callFromOutside, expectTold, play, type Stage } from './steps.ts'

/** So much time may pass between two calls of one step. */
const MOMENTS = 4000

// A store may be used by several worlds: no id is used twice.
let ids = 0

export class World implements Stage {
  readonly schedule: Schedule
  readonly book: Book
  readonly calls: Scenario['calls']
  readonly #scenario: Scenario
  readonly #lifetime: Lifetime
  readonly #houses: readonly House<Data>[]
  /** The cookie of each browser. */
  readonly #jars: (string | undefined)[] = [undefined, undefined]
  readonly #requests: Request[] = []
  /** The browser of every cookie that was ever set. */
  readonly #cookies = new Map<string, number>()
  readonly #refused: string[] = []
  readonly #handlers: Handler<Data>[] = []
  #now = Math.ceil(Date.now() / 1000) * 1000

  constructor(scenario: Scenario, store: SessionStore) {
    this.#scenario = scenario
    this.calls = scenario.calls
    this.schedule = new Schedule(scenario.choices)
    this.#lifetime = LIFETIMES[scenario.lifetime] ?? LIFETIMES[0]
    this.book = new Book(scenario.by, this.#lifetime, scenario.onConflict === 'throw')
    const told = new ToldStore(store, this, this.book)
    this.#houses = [0, 1].map(() => this.#house(told))
  }

  get now(): number {
    return this.#now
  }

  get mind(): Request | undefined {
    return this.#requests[this.schedule.running]
  }

  /** @throws {Error} with the first fault of the core. */
  async play(): Promise<void> {
    const { errands, outside, passes, begun, age } = this.#scenario
    hearConflicts((key) => this.mind?.told.add(key))
    await withPauses(this.schedule, async () => {
      // Before its first request in Koa's chain, a middleware has nothing to ask `passive` with.
      for (const house of [0, 1]) await this.#serve({ house }, undefined, () => Promise.resolve())
      for (const [browser, owner] of begun.entries()) if (owner !== 'none') await this.#begin(browser, owner)
      this.#now += age
      const requests = errands.map((errand, at) => {
        const request = (this.#requests[at] = new Request(at, errand))
        return () => this.#run(errand, request)
      })
      const calls = outside.map((call, at) => {
        const request = new Request(errands.length + at, { browser: call.browser })
        this.#requests[errands.length + at] = request
        return () => this.#call(call, request)
      })
      const tasks = [...requests, ...calls]
      await this.schedule.run(passes.length === 0 ? tasks : [...tasks, () => this.#pass(passes)], errands.length)
    })
    await this.#lookBack()
    if (this.book.fault !== undefined) throw new Error(this.book.fault)
  }

  #house(store: SessionStore): House<Data> {
    const { by, onConflict } = this.#scenario
    const sessions = session<Data>({
      ...this.#lifetime.options,
      keys: ['the only secret of the model, which is long enough'],
      store,
      onConflict,
      owner: (data) => ownerIn(by, data),
      passive: (ctx) => ctx.get('x-poll') === '1',
      now: () => this.#now,
      generateId: () => `owner-model-${String(++ids).padStart(20, '0')}`,
      sweepInterval: false,
      // The timer of the last deadline keeps the world in memory this long: of ten thousand worlds few may exist at once.
      storeTimeout: '20s',
      logger: {},
    })
    return houseOf(sessions, this.#handlers)
  }

  /** One request through the middleware. */
  async #serve(
    errand: Pick<Errand, 'house'> & Partial<Errand>,
    cookie: string | undefined,
    handler: Handler<Data>,
  ): Promise<Answer> {
    const { isPassive, isOutsideChain } = errand
    const house = this.#houses[errand.house]
    const request = requestTo(this.#handlers.push(handler) - 1, cookie)
    if (isPassive === true) request.headers['x-poll'] = '1'
    if (isOutsideChain === true) {
      try {
        await house?.sessions.run(request, handler)
        return { status: 200, cookie: undefined, maxAge: undefined }
      } catch (error) {
        return { status: statusOf(error), error, cookie: undefined, maxAge: undefined }
      }
    }
    return answerOf(house?.answer, request, () => this.book.fail(this.mind, 'two cookies were set'))
  }

  /** Begins a session before anything else happens. */
  async #begin(browser: number, owner: 'nobody' | Owner): Promise<void> {
    const signIn: readonly Step[] =
      owner === 'nobody'
        ? []
        : [
            { do: 'name', owner },
            { do: 'move', key: 'user' },
          ]
    const steps: readonly Step[] = [
      { do: 'set', key: 'a' },
      { do: 'set', key: 'b' },
      { do: 'put', key: 'a' },
      ...signIn,
    ]
    const [isOutsideChain, isPassive, catches] = [false, false, false]
    const errand: Errand = { browser, house: 0, isOutsideChain, isPassive, steps, end: 'returns', catches }
    const request = (this.#requests[0] = new Request(-1, errand))
    await this.schedule.run([() => this.#run(errand, request)])
  }

  async #pass(passes: Scenario['passes']): Promise<void> {
    for (const milliseconds of passes) {
      await this.schedule.wait(milliseconds <= 1000 ? 'moment' : 'hours')
      this.#now += milliseconds
    }
  }

  async #call(call: Call, request: Request): Promise<void> {
    await this.schedule.wait('start')
    const sessions = this.#houses[call.house]?.sessions
    const cookie = this.#jars[call.browser]
    if (sessions !== undefined)
      await callFromOutside(this, request, sessions, call, cookie === undefined ? undefined : keyIn(cookie))
  }

  async #run(errand: Errand, request: Request): Promise<void> {
    await this.schedule.wait('start')
    const { browser, end } = errand
    const cookie = this.#jars[browser]
    request.hasCookie = cookie !== undefined
    const ending: { status: number } = { status: 200 }
    request.begin({ do: 'load' })
    const answer = await this.#serve(errand, cookie, async (manager) => {
      try {
        await play(this, request, manager, errand)
        if (end !== 'returns') throw Object.assign(new Error('on purpose'), { status: end })
      } catch (error) {
        ending.status = statusOf(error)
        throw error
      } finally {
        request.isConfirmed = false
        request.begin({ do: isCommitted(ending.status) ? 'commit' : 'nothing' })
      }
    })
    this.#check(request, answer, ending.status)
    if (answer.cookie !== undefined && answer.cookie !== '') this.#cookies.set(answer.cookie, browser)
    await this.schedule.wait('delivery')
    if (answer.cookie !== undefined) this.#jars[browser] = answer.cookie === '' ? undefined : answer.cookie
  }

  // ---- checks of a response

  #check(request: Request, { status, error, cookie, maxAge }: Answer, ending: number): void {
    const { book } = this
    const commits = isCommitted(ending)
    const isNew = request.key === undefined && !request.isOver
    if (status === 409 && commits) {
      const mayChange = request.isOver || request.hasPending
      book.expect(request, mayChange && !request.isDestroyed, 'a commit of nothing was refused')
      const code = error instanceof SessionError ? error.code : 'no code'
      const isConflict = code === 'ERR_SESSION_CONFLICT'
      book.expect(request, isConflict || code === 'ERR_SESSION_GONE', `the commit was refused with ${code}`)
      const isDue = isConflict ? book.mayConflict(request) : book.mayBeGone(request, this.#now)
      book.expect(request, isDue, `the commit was refused as ${isConflict ? 'a conflict' : 'gone'}`)
      book.expect(request, request.writes === 0, 'it was refused and stored')
      if (!isConflict) request.isGone = true
    } else if (commits && error instanceof SessionError && error.code === 'ERR_SESSION_HEADERS_SENT') {
      book.expect(request, request.hasPending && book.mayLackCookie(request, this.#now), 'it needed no cookie')
      book.expect(request, request.writes === 0, 'it was refused and stored')
    } else {
      book.expect(request, status === ending, `answered ${status} instead of ${ending}`)
      const isAcknowledged = status === ending && commits && !request.isDestroyed
      if (isAcknowledged && request.isOver)
        book.expect(request, request.isEmptied, 'a change of a session that has ended was acknowledged')
      else if (isAcknowledged && (isNew ? request.hasSomething : request.hasPending))
        book.expect(request, request.isEmptied && !request.wasAlive, 'a change was acknowledged and not stored')
    }
    if (status === ending) {
      expectTold(book, request)
      if (commits) this.#expectUse(request)
    }
    this.#refused.push(...request.pendingValues())
    this.#checkCookie(request, cookie)
    if (cookie !== undefined && cookie !== '') this.#checkMaxAge(request, maxAge)
  }

  /** A request that has ended well was a use of its session, unless it was passive. */
  #expectUse({ life, key, isPassive, isFollower, isOver, isDestroyed, wasAlive }: Request): void {
    const { book } = this
    if (life?.head !== key || isPassive || isFollower || isOver || isDestroyed || !wasAlive) return
    if (life === undefined || !book.isLive(life, this.#now)) return
    book.expect(undefined, book.isUseNoted(life, this.#now), 'a use was not noted')
  }

  #checkCookie(request: Request, cookie: string | undefined): void {
    const { book } = this
    if (request.isDestroyed) {
      const expected = request.hasEnded && request.isResumed && !request.isOutsideChain ? '' : undefined
      book.expect(request, cookie === expected, `after destroy() the cookie is '${String(cookie)}'`)
      return
    }
    book.expect(request, cookie !== '', 'a cookie was cleared')
    const isAlive = !request.isOver && request.wasAlive && request.key !== undefined
    if (cookie === undefined) {
      book.expect(request, !(request.hasNewId && isAlive), 'nobody is told the new id')
      return
    }
    book.expect(request, !request.isFollower, 'a cookie was set for an id that another response carries')
    book.expect(request, isAlive && keyIn(cookie) === request.key, 'a cookie was set for a session that is not live')
    book.expect(
      request,
      request.hasNewId || (request.isConfirmed && !request.isPassive) || request.held?.own !== undefined,
      'a cookie was renewed without a reason',
    )
  }

  /** A cookie lives as long as its session, where no other request has changed that meanwhile. */
  #checkMaxAge(request: Request, maxAge: number | undefined): void {
    const { book } = this
    const { life, held } = request
    if (life === undefined || held === undefined || life.held !== held) return
    const { options } = this.#lifetime
    const hasEnd = options.maxAge !== undefined || held.own !== undefined
    book.expect(request, hasEnd === (maxAge !== undefined), `the cookie has the Max-Age ${maxAge}`)
    if (maxAge === undefined) return
    const [end, latest] = [this.#now + maxAge * 1000, book.absoluteEnd(held)]
    book.expect(request, maxAge === 1 || end <= latest + 1000, 'the cookie outlives its session')
    const isLong = options.rolling === true || maxAge === 1 || end >= latest - MOMENTS
    book.expect(request, isLong, `the cookie ends ${latest - end} ms before its session`)
  }

  // ---- checks at the end

  async #lookBack(): Promise<void> {
    const { book } = this
    const seen: string[] = []
    // Every cookie that was ever set leads to the session in the model, or to none.
    for (const [cookie, browser] of this.#cookies) {
      const life = book.lifeAt(keyIn(cookie), this.#now)
      await this.#serve({ house: 0, isPassive: true }, cookie, (manager) => {
        const data = JSON.parse(JSON.stringify(manager.data)) as Data
        const expected = life?.held.contents.data ?? {}
        const what = life === undefined ? 'an ended' : 'a live'
        book.expect(undefined, (manager.origin === 'resumed') === (life !== undefined), `${what} session is not`)
        const isSame = isDeepStrictEqual(data, expected)
        book.expect(undefined, isSame, `reads ${JSON.stringify(data)} instead of ${JSON.stringify(expected)}`)
        const values = [data.a, data.b?.value, data.user?.city].filter((one) => one !== undefined)
        const isOurs = values.every((one) => one.startsWith(`${browser}.`))
        book.expect(undefined, isOurs, `browser ${browser} sees ${values.join(', ')}`)
        seen.push(...values)
        return Promise.resolve()
      })
    }
    for (const value of this.#refused)
      book.expect(undefined, !seen.includes(value), `${value} was refused and is stored`)
    for (const owner of ['ada', 'bob'] as const) await this.#list(owner)
    this.#openJars()
  }

  /** When all is quiet, `list` tells the truth. */
  async #list(owner: Owner): Promise<void> {
    const { book } = this
    const lives = book.ownedSince(owner, Infinity, this.#now)
    const listed = (await this.#houses[0]?.sessions.list(owner)) ?? []
    const ours = listed.filter(({ publicId }) => book.knows(publicId))
    book.expect(undefined, ours.length === lives.length, `${owner} has ${lives.length} sessions, ${ours.length} listed`)
    for (const { head, held } of lives) {
      const info = ours.find(({ publicId }) => publicId === head)
      const isRight =
        info?.owner === owner &&
        Math.abs((info.authenticatedAt ?? 0) - (held.authenticatedAt ?? 0)) < MOMENTS &&
        isDeepStrictEqual(info.data, held.contents.data)
      book.expect(undefined, isRight, `a session of ${owner} is listed as ${JSON.stringify(info)}`)
    }
  }

  /** Each browser has a cookie that works, or none; where cookies are renewed, two responses may overtake one another. */
  #openJars(): void {
    const { book } = this
    const isRenewed = this.#scenario.errands.some(({ steps }) => steps.some((step) => step.do === 'maxAge'))
    if (this.#lifetime.options.maxAge !== undefined || isRenewed) return
    for (const [browser, cookie] of this.#jars.entries()) {
      const life = book.lifeOf(cookie === undefined ? undefined : keyIn(cookie))
      if (life === undefined || !book.isLive(life, this.#now)) continue
      book.expect(undefined, keyIn(cookie ?? '') === life.head, `browser ${browser} has an id that was replaced`)
    }
  }
}

function isCommitted(status: number): boolean {
  return status === 200 || status === 403
}
