// Plays one scenario through the real middleware: two apps over one store, requests without a network, and browsers that keep the
// last cookie that they received. Every response is compared with what the model expects.
import { isDeepStrictEqual } from 'node:util'
import { session, SessionError, type SessionStore } from '../../../src/index.ts'
import { hearConflicts } from './heard.ts'
import { answerOf, houseOf, keyIn, requestTo, statusOf, type Answer, type Handler, type House } from './house.ts'
import { Judge } from './judge.ts'
import { Ledger } from './ledger.ts'
import { Mind } from './mind.ts'
import { callFromOutside } from './outside.ts'
import { LIFETIMES, type Call, type Errand, type Lifetime, type Scenario, type Step } from './scenario.ts'
import { Schedule, withPauses } from './schedule.ts'
import { play, type Data } from './steps.ts'
import { ToldStore } from './told-store.ts'
import type { Stage } from './stage.ts'

/** A browser's cookie: its value, and the number of keys at the time of its signature. */
interface Cookie {
  readonly value: string
  readonly keys: number
}

// A store may be used by several worlds: no id is used twice.
let ids = 0

export class World implements Stage {
  readonly schedule: Schedule
  readonly ledger: Ledger
  readonly calls: Scenario['calls']
  readonly refusesConflicts: boolean
  readonly #scenario: Scenario
  readonly #lifetime: Lifetime
  readonly #keys = ['the first secret of the model, which is long enough']
  readonly #houses: readonly House<Data>[]
  readonly #jars: (Cookie | undefined)[] = [undefined, undefined]
  readonly #minds: Mind[] = []
  /** Every cookie that was ever set, by its value. */
  readonly #cookies = new Map<string, Cookie & { readonly browser: number }>()
  readonly #refused: string[] = []
  readonly #handlers: Handler<Data>[] = []
  #now = Math.ceil(Date.now() / 1000) * 1000

  constructor(scenario: Scenario, store: SessionStore) {
    this.#scenario = scenario
    this.calls = scenario.calls
    this.schedule = new Schedule(scenario.choices)
    this.#lifetime = LIFETIMES[scenario.lifetime] ?? LIFETIMES[0]
    this.refusesConflicts = scenario.onConflict === 'throw'
    this.ledger = new Ledger(this.#lifetime, this.refusesConflicts)
    const told = new ToldStore(store, this, new Judge(this.ledger))
    this.#houses = [0, 1].map(() => this.#house(told))
  }

  get now(): number {
    return this.#now
  }

  get mind(): Mind | undefined {
    return this.#minds[this.schedule.running]
  }

  /** @throws {Error} with the first fault of the core. */
  async play(): Promise<void> {
    const { errands, outside, events, begun } = this.#scenario
    hearConflicts((key) => this.mind?.told.add(key))
    const beginnings = begun.flatMap((has, browser) => (has ? [browser] : []))
    await withPauses(this.schedule, async () => {
      for (const browser of beginnings) await this.#begin(browser)
      const requests = errands.map((errand, at) => {
        const mind = (this.#minds[at] = new Mind(errand.browser, at))
        return () => this.#run(errand, mind)
      })
      const calls = outside.map((call, at) => {
        const mind = (this.#minds[errands.length + at] = new Mind(call.browser, errands.length + at))
        return () => this.#call(call, mind)
      })
      const tasks = [...requests, ...calls]
      await this.schedule.run(events.length === 0 ? tasks : [...tasks, () => this.#pass(events)], errands.length)
    })
    await this.#lookBack()
    if (this.ledger.fault !== undefined) throw new Error(this.ledger.fault)
  }

  #house(store: SessionStore): House<Data> {
    const sessions = session<Data>({
      ...this.#lifetime.options,
      keys: this.#keys,
      store,
      onConflict: this.#scenario.onConflict,
      now: () => this.#now,
      generateId: () => `model-${String(++ids).padStart(20, '0')}`,
      sweepInterval: false,
      // The timer of the last deadline keeps the world in memory this long: of ten thousand worlds few may exist at once.
      storeTimeout: '20s',
      logger: {},
    })
    return houseOf(sessions, this.#handlers)
  }

  /** One request through the middleware. */
  #serve(house: number, cookie: string | undefined, handler: Handler<Data>): Promise<Answer> {
    const request = requestTo(this.#handlers.push(handler) - 1, cookie)
    return answerOf(this.#houses[house]?.answer, request, () => this.ledger.fail(this.mind, 'two cookies were set'))
  }

  /** Begins a session before anything else happens. */
  async #begin(browser: number): Promise<void> {
    const mind = new Mind(browser, -1)
    const { owner } = this.#scenario
    const signIn: readonly Step[] = owner === undefined ? [] : [{ do: 'signIn', owner, keep: true }]
    const steps: readonly Step[] = [{ do: 'set', key: 'a' }, { do: 'push' }, ...signIn]
    this.#minds[0] = mind
    await this.schedule.run([() => this.#run({ browser, house: 0, steps, end: 'returns', catches: false }, mind)])
  }

  async #pass(events: Scenario['events']): Promise<void> {
    for (const event of events) {
      await this.schedule.wait(event === 'a new key' || event.passes <= 1000 ? 'moment' : 'hours')
      if (event === 'a new key') this.#keys.unshift(`secret number ${this.#keys.length} of the model, long enough`)
      else this.#now += event.passes
    }
  }

  async #call(call: Call, mind: Mind): Promise<void> {
    await this.schedule.wait('start')
    const sessions = this.#houses[call.house]?.sessions
    const cookie = this.#jars[call.browser]
    if (sessions !== undefined)
      await callFromOutside(this, mind, sessions, call, cookie === undefined ? undefined : keyIn(cookie.value))
  }

  async #run(errand: Errand, mind: Mind): Promise<void> {
    await this.schedule.wait('start')
    const cookie = this.#jars[errand.browser]
    mind.hasCookie = cookie !== undefined
    mind.hasOldKey = cookie !== undefined && cookie.keys < this.#keys.length
    const keys = this.#keys.length
    const ending: { status: number } = { status: 200 }
    mind.begin({ do: 'load' })
    const answer = await this.#serve(errand.house, cookie?.value, async (manager) => {
      try {
        await play(this, mind, manager, errand)
        if (errand.end !== 'returns') throw Object.assign(new Error('on purpose'), { status: errand.end })
      } catch (error) {
        ending.status = statusOf(error)
        throw error
      } finally {
        this.#handled(mind, ending.status)
      }
    })
    this.#check(mind, answer, ending.status)
    if (answer.cookie !== undefined && answer.cookie !== '')
      this.#cookies.set(answer.cookie, { value: answer.cookie, keys, browser: errand.browser })
    await this.schedule.wait('delivery')
    if (answer.cookie !== undefined)
      this.#jars[errand.browser] = answer.cookie === '' ? undefined : { value: answer.cookie, keys }
  }

  /** The handler has ended: its pending changes are committed now or never. */
  #handled(mind: Mind, status: number): void {
    const commits = status === 200 || status === 403
    mind.isConfirmed = false
    mind.isHandled = true
    mind.begin({ do: commits ? 'commit' : 'nothing' })
  }

  // ---- checks of a response

  #check(mind: Mind, { status, error, cookie, maxAge }: Answer, ending: number): void {
    const { ledger } = this
    const now = this.#now
    const commits = ending === 200 || ending === 403
    const isLost =
      commits &&
      !mind.isDestroyed &&
      mind.hasPending &&
      (mind.isOver ? !mind.isEmptied : mind.key !== undefined || mind.isOver || mind.hasSomething)
    if (status === 409 && commits) {
      const code = error instanceof SessionError ? error.code : 'no code'
      const isGone = code === 'ERR_SESSION_GONE' && (mind.isOver || !mind.wasAlive)
      const hasConflict =
        code === 'ERR_SESSION_CONFLICT' && this.refusesConflicts && mind.conflicts(mind.known).length > 0
      ledger.expect(mind, isLost && (isGone || hasConflict), `the commit was refused with ${code}`)
      if (isGone) mind.isGone = true
    } else {
      ledger.expect(mind, status === ending, `answered ${status} instead of ${ending}`)
      ledger.expect(mind, !isLost, 'a change was acknowledged and not stored')
      const isKept = !commits || mind.isDestroyed || mind.isOver || mind.key !== undefined || !mind.hasSomething
      ledger.expect(mind, isKept, 'a session that was to be kept was not stored')
    }
    if (status === ending) ledger.expectTold(mind)
    this.#refused.push(...mind.pendingValues())
    this.#checkCookie(mind, cookie, now, commits && status === ending)
    if (maxAge !== undefined && cookie !== undefined && cookie !== '') {
      // Max-Age=0 would delete the cookie, so the cookie of a session that has just ended gets one second.
      ledger.expect(
        mind,
        maxAge === 1 || now + maxAge * 1000 <= Math.max(ledger.absoluteEnd(keyIn(cookie)), mind.storedEnd),
        'the cookie outlives its session',
      )
    }
  }

  #checkCookie(mind: Mind, cookie: string | undefined, now: number, isCommitted: boolean): void {
    const { ledger } = this
    if (mind.isDestroyed) {
      const expected = mind.hasEnded && mind.isResumed ? '' : undefined
      ledger.expect(
        mind,
        cookie === expected,
        expected === '' ? 'the cookie was not cleared' : 'a cookie was set or cleared after destroy()',
      )
      return
    }
    ledger.expect(mind, cookie !== '', 'a cookie was cleared')
    const isAlive = !mind.isOver && mind.wasAlive && mind.key !== undefined
    if (cookie === undefined || cookie === '') {
      ledger.expect(mind, !(mind.hasNews && isAlive), 'nobody is told the new id')
      const isDue = mind.hasOldKey && mind.isResumed && isCommitted && isAlive && mind.isConfirmed
      ledger.expect(mind, !isDue, 'the cookie was not signed with the new key')
      const isTold = !(mind.hasLifetime && isCommitted && isAlive && mind.isConfirmed)
      ledger.expect(mind, isTold, 'no cookie tells of the new lifetime')
      return
    }
    ledger.expect(mind, isAlive && keyIn(cookie) === mind.key, 'a cookie was set for a session that is not live')
    ledger.expect(
      mind,
      mind.hasNews || mind.isConfirmed,
      'a cookie was renewed without asking whether its session lives',
    )
    if (isAlive) ledger.announce(mind, keyIn(cookie), now)
  }

  // ---- checks at the end

  /** Sends every cookie that was ever set again: each must lead to the session in the model, or to none. */
  async #lookBack(): Promise<void> {
    const { ledger } = this
    ledger.close(this.#now)
    const seen: string[] = []
    for (const { value, browser } of this.#cookies.values()) {
      const key = keyIn(value)
      const live = ledger.live(key, this.#now)
      await this.#serve(0, value, (manager) => {
        const data = { ...manager.data }
        ledger.expect(
          undefined,
          (manager.origin === 'resumed') === (live !== undefined),
          `${live === undefined ? 'an ended' : 'a live'} session reads as ${manager.origin}`,
        )
        ledger.expect(
          undefined,
          isDeepStrictEqual(data, live?.contents.data ?? {}),
          `reads ${JSON.stringify(data)} instead of ${JSON.stringify(live?.contents.data)}`,
        )
        const values = Object.values(data)
          .flat()
          .filter((one) => typeof one === 'string')
        ledger.expect(
          undefined,
          values.every((one) => one.startsWith(`${browser}.`)),
          `browser ${browser} sees ${values.join(', ')}`,
        )
        seen.push(...values)
        return Promise.resolve()
      })
    }
    for (const value of this.#refused)
      ledger.expect(undefined, !seen.includes(value), `${value} was refused and is stored`)
  }
}
