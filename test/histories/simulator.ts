// Time, timers and chance of a simulation: one event after another, in the order of a simulated clock. The same seed gives
// the same run, step by step. It takes the place of Node's timers and of the clock while it runs.
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'

interface Event {
  readonly at: number
  readonly order: number
  readonly process: number
  run: (() => void) | undefined
}

/** A generator of chance: mulberry32. */
export function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export class Simulator {
  /** Milliseconds since the run began. */
  now = 0
  /** How many events have happened. */
  steps = 0
  readonly random: () => number
  /** Whose work is done now; -1 for the clients'. */
  current = -1
  readonly #events: Event[] = []
  readonly #dead = new Set<number>()
  #order = 0

  constructor(seed: number) {
    this.random = chance(seed)
  }

  /** Does something later, as the process that asks for it, or another. */
  after(milliseconds: number, run: () => void, process: number = this.current): Event {
    const event: Event = { at: this.now + Math.max(0, milliseconds), order: ++this.#order, process, run }
    this.#push(event)
    return event
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.after(milliseconds, resolve))
  }

  /** A process does nothing any more, wherever it was. */
  kill(process: number): void {
    this.#dead.add(process)
  }

  isDead(process: number): boolean {
    return this.#dead.has(process)
  }

  /** Runs until there is nothing left to do, or `most` steps are over. @returns whether all is done. */
  async run(most: number): Promise<boolean> {
    const { setTimeout: timeout, clearTimeout: clear, setImmediate: immediate } = globalThis
    const sleep = timers.setTimeout
    const mathRandom = Math.random
    Object.assign(globalThis, {
      setImmediate: (run: (...given: unknown[]) => void, ...given: unknown[]) => {
        this.after(0, () => run(...given))
      },
      setTimeout: (run: () => void, delay = 0) => new Timer(this.after(delay, run)),
      clearTimeout: (timer: unknown) => {
        if (timer instanceof Timer) timer.event.run = undefined
        else clear(timer as NodeJS.Timeout)
      },
    })
    Object.assign(timers, { setTimeout: (delay: number, value: unknown) => this.sleep(delay).then(() => value) })
    syncBuiltinESMExports()
    Object.defineProperty(performance, 'now', { value: () => this.now, configurable: true })
    Math.random = this.random
    try {
      for (; this.steps < most; this.steps++) {
        const event = this.#pop()
        if (event === undefined) return true
        if (event.run === undefined || this.#dead.has(event.process)) continue
        this.now = event.at
        this.current = event.process
        event.run()
        // All that follows at once.
        await new Promise((resolve) => immediate(resolve))
      }
      return false
    } finally {
      Math.random = mathRandom
      Reflect.deleteProperty(performance, 'now')
      Object.assign(timers, { setTimeout: sleep })
      Object.assign(globalThis, { setTimeout: timeout, clearTimeout: clear, setImmediate: immediate })
      syncBuiltinESMExports()
    }
  }

  // ---- the events by their time, the earlier asked for first among equals: a heap

  #push(event: Event): void {
    const events = this.#events
    let at = events.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = events[parent]
      if (above === undefined || !isBefore(event, above)) break
      events[at] = above
      at = parent
    }
    events[at] = event
  }

  #pop(): Event | undefined {
    const events = this.#events
    const [first] = events
    const last = events.pop()
    if (first === undefined || last === undefined || first === last) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const [left, right] = [events[child], events[child + 1]]
      if (left === undefined) break
      if (right !== undefined && isBefore(right, left)) child++
      const next = events[child]
      if (next === undefined || !isBefore(next, last)) break
      events[at] = next
      at = child
    }
    events[at] = last
    return first
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

/** What `setTimeout` gives. */
class Timer {
  readonly event: Event

  constructor(event: Event) {
    this.event = event
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}
