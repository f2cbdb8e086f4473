// Watches sessions for their end (`session.signal`), in whichever process and for whatever reason they end.
import type { EventEmitter } from 'node:events'
import { goneError } from '../errors.ts'
import { eachOf } from '../portions.ts'
import { effectiveEnd } from '../record/lifetime.ts'
import { isEnded, isFreshStart, readRecord, successorOf } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'
import { outsideRequests, unrefed } from '../timers.ts'
import type { Core } from './core.ts'

/** One request that read its signal and waits for the end of its session. */
export interface Watcher {
  /** The current record of its session. */
  readonly record: SessionRecord | undefined
  /** The key of its session, as far as that was followed. */
  key?: string
  /** Whether its response, or its connection, is over. */
  readonly isOver: boolean
  /** Aborts its signal. */
  end(reason: unknown): void
}

interface Watched {
  key: string
  expiresAt: number
  /** Whether its end may have been missed: the last read failed or is not over, or announcements may have been lost. */
  isUnsure: boolean
  readonly watchers: Set<Watcher>
}

/** How often the clock is checked while any session is watched, in milliseconds. */
const TICK = 1000
/** How often watched sessions are read if the store announces nothing: by the fourth tick, to report an end within five seconds. */
const POLL = 3900
/** How often they are read if it announces ends, because an announcement may be lost without a sign. */
const RECHECK = 600_000
// If a session gets a new id more often than this during one read, it is read again later.
const MAX_STEPS = 1000

export class Watches {
  readonly #core: Pick<Core, 'store' | 'payload' | 'settings'>
  /** Whether any session is watched, which is rare. */
  isWatching = false
  readonly #watched = new Map<string, Watched>()
  readonly #of = new Map<Watcher, Watched>()
  #unsubscribe: (() => void) | undefined
  #hasSubscribed = false
  #timer: NodeJS.Timeout | undefined
  #readAt = 0
  #failedAt = Infinity
  /** How many times an end may have been missed, because announcements may have been lost or a read failed. */
  #losses = 0
  #isReading = false
  #isClosed = false
  readonly #closing = new WeakMap<EventEmitter, Set<Watcher>>()

  constructor(core: Pick<Core, 'store' | 'payload' | 'settings'>) {
    this.#core = core
  }

  /** Waits for the end of the watcher's session, until {@link remove}. */
  add(watcher: Watcher): void {
    const { record } = watcher
    if (record === undefined || this.#isClosed) return
    this.remove(watcher)
    if (this.#watched.size === 0) this.#start()
    const watched = this.#put(watcher, record.key, record.expiresAt)
    // It may have ended since it was loaded. That end is not announced again.
    this.#read([watched])
  }

  remove(watcher: Watcher): void {
    const watched = this.#of.get(watcher)
    if (watched === undefined) return
    this.#of.delete(watcher)
    watched.watchers.delete(watcher)
    if (watched.watchers.size === 0) this.#take(watched)
    if (this.#watched.size === 0) this.#stop()
  }

  #put(watcher: Watcher, key: string, expiresAt: number): Watched {
    let watched = this.#watched.get(key)
    if (watched === undefined)
      this.#watched.set(key, (watched = { key, expiresAt, isUnsure: false, watchers: new Set() }))
    watched.watchers.add(watcher)
    this.#of.set(watcher, watched)
    watcher.key = key
    return watched
  }

  /** Stops watching a session. @returns its watchers, an empty list if it has moved or ended already. */
  #take(watched: Watched): readonly Watcher[] {
    const watchers = [...watched.watchers]
    watched.watchers.clear()
    if (this.#watched.get(watched.key) === watched) this.#watched.delete(watched.key)
    return watchers
  }

  /** Removes a watcher when `until` closes. Each emitter has one listener, because a connection may serve many requests. */
  removeOnClose(watcher: Watcher, until: EventEmitter): void {
    const known = this.#closing.get(until)
    if (known !== undefined) {
      known.add(watcher)
      return
    }
    const watchers = new Set([watcher])
    this.#closing.set(until, watchers)
    until.once('close', () => {
      this.#closing.delete(until)
      for (const one of watchers) this.remove(one)
    })
  }

  /** A session has another expiry now. */
  expires(key: string, expiresAt: number): void {
    const watched = this.#watched.get(key)
    if (watched !== undefined) watched.expiresAt = expiresAt
  }

  /** A session has ended in this process. */
  ended(key: string): void {
    const watched = this.#watched.get(key)
    if (watched !== undefined) this.#abort(watched)
  }

  /** A session has got a new id in this process. */
  moved(key: string, successor: SessionRecord, isFreshStart: boolean): void {
    const watched = this.#watched.get(key)
    if (watched === undefined) return
    if (isFreshStart) this.#abort(watched)
    else this.#move(watched, successor.key, successor.expiresAt)
  }

  close(): void {
    this.#isClosed = true
    this.#stop()
    this.#unsubscribe?.()
    this.#watched.clear()
    this.#of.clear()
  }

  #start(): void {
    this.isWatching = true
    this.#readAt = performance.now()
    // Outside the async context of the request that happens to be the first, which must not be kept alive.
    outsideRequests(() => {
      if (!this.#hasSubscribed) {
        this.#hasSubscribed = true
        this.#unsubscribe = this.#core.store.watch('subscribe', (key) => this.#announced(key))
      }
      this.#timer ??= unrefed(setInterval(() => this.#tick(), TICK))
    })
  }

  #stop(): void {
    this.isWatching = false
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #announced(key: string | undefined): void {
    if (key !== undefined) {
      const watched = this.#watched.get(key)
      if (watched !== undefined) this.#read([watched])
      return
    }
    // Any watched session may have ended. In an outage this is called every few seconds: the reads must not pile up.
    this.#losses++
    for (const watched of this.#watched.values()) watched.isUnsure = true
    this.#failedAt = -Infinity
    this.#tick()
  }

  #tick(): void {
    // Not every response that is over has closed.
    for (const watcher of this.#of.keys()) if (watcher.isOver) this.remove(watcher)
    // One round of reads at a time, so that they do not pile up if the store is slow.
    if (this.#isReading) return
    let now: number
    try {
      now = this.#core.settings.now()
    } catch {
      // `options.now` failed, which each request reports. Thrown in a timer, the error would end the process.
      return
    }
    const time = performance.now()
    const isDue = time - this.#readAt >= (this.#unsubscribe === undefined ? POLL : RECHECK)
    // After a failed read or lost announcements, a session in doubt does not wait for the next round of all sessions.
    const isAgain = time - this.#failedAt >= POLL
    const due: Watched[] = []
    for (const watched of this.#watched.values())
      if (isDue || watched.expiresAt <= now || (isAgain && watched.isUnsure)) due.push(watched)
    if (isDue) this.#readAt = time
    if (isAgain) this.#failedAt = Infinity
    if (due.length === 0) return
    this.#isReading = true
    this.#read(due, () => (this.#isReading = false))
  }

  #read(watched: readonly Watched[], then?: () => void): void {
    const look = async (one: Watched): Promise<boolean> => {
      const losses = this.#losses
      try {
        await this.#look(one)
        one.isUnsure = losses !== this.#losses
      } catch (error) {
        // An earlier read may have answered meanwhile.
        one.isUnsure = true
        this.#failedAt = performance.now()
        // A read that began before this failure may have missed an end, too.
        this.#losses++
        throw error
      }
      return true
    }
    // An outage is not an end: the failure is an event, and the session is read again later.
    void eachOf(watched, look)
      .catch(() => undefined)
      .finally(then)
  }

  /** Reads the current record of a watched session. An announcement alone aborts nothing. */
  async #look(watched: Watched): Promise<void> {
    const { store, payload, settings } = this.#core
    let key = watched.key
    for (let steps = 0; ; steps++) {
      // After close() the store may be closed as well: each of thousands of reads would fail, and be an event.
      if (steps === MAX_STEPS || this.#isClosed) return
      const now = settings.now()
      // Synchronous if the store is: then `session.signal` is aborted at its first read if the session has ended already.
      // A tombstone that has expired while nobody looked still leads on.
      const found = store.read(key, now - RECHECK)
      const record = found instanceof Promise ? await found : found
      if (typeof record !== 'object') break
      if (isEnded(record)) {
        const successor = successorOf(record)
        if (successor === undefined || isFreshStart(record)) break
        key = successor
        continue
      }
      const stored = readRecord(payload, record)
      if (stored === undefined) break
      const end = effectiveEnd(settings.lifetime, stored.metadata, record)
      if (end <= now) break
      watched.expiresAt = end
      if (key !== watched.key) this.#move(watched, key, end)
      return
    }
    this.#abort(watched)
  }

  #move(watched: Watched, key: string, expiresAt: number): void {
    let moved: Watched | undefined
    for (const watcher of this.#take(watched)) moved = this.#put(watcher, key, expiresAt)
    // It may have ended before it was watched under this key. That end is not announced again.
    if (moved !== undefined) this.#read([moved])
  }

  #abort(watched: Watched): void {
    const reason = goneError()
    const watchers = this.#take(watched)
    for (const watcher of watchers) this.#of.delete(watcher)
    for (const watcher of watchers) watcher.end(reason)
    if (this.#watched.size === 0) this.#stop()
  }
}
