// Receives the announcements of other processes over a connection that does nothing else. Whatever happens to the connection, the
// watchers learn within seconds that they may have missed an announcement.
import { invalidMix, invalidType } from '../../errors.ts'
import { Listeners } from '../listeners.ts'
import { isClient, isUnconnected } from './client.ts'
import { unrefed } from '../../timers.ts'

/** The part of a listening `pg` Client that is used. */
export interface PostgresSubscriber {
  query(query: { text: string }): Promise<unknown>
  on(event: 'notification', listener: (message: { channel: string; payload?: string | undefined }) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as EventEmitter has it
  removeListener(event: string, listener: (...args: any[]) => void): unknown
  connect?(): Promise<unknown>
  end?(): Promise<unknown>
  /** Of a connection of a Pool. */
  release?(destroy: boolean): unknown
}

/** A pg Client that belongs to the store alone, or a function that makes one whenever the store needs it. */
export type PostgresSubscriberSource = PostgresSubscriber | (() => PostgresSubscriber | Promise<PostgresSubscriber>)

interface Line {
  readonly client: PostgresSubscriber
  isListening: boolean
  /** The Client's last statement, while it is under way: a Client gets one statement at a time. */
  asked: Promise<unknown> | undefined
  readonly detach: () => void
}

/**
 * In milliseconds: how often watchers are notified while nothing can be received, and a working connection is checked; and how
 * long a connection may take to connect, or to begin to listen. A check has half as long.
 */
const TIMES = { interval: 5000, patience: 10_000 }
const FIRST_PAUSE = 100

/** One `LISTEN` for all subscribers of a store. */
export class Listener {
  readonly #source: PostgresSubscriberSource
  readonly #channel: string
  readonly #times: typeof TIMES
  readonly #watchers = new Listeners<string | undefined>()
  #line: Line | undefined
  #timer: NodeJS.Timeout | undefined
  #reconnecting: NodeJS.Timeout | undefined
  #pause = FIRST_PAUSE
  /** Rises with each start and stop: the results of work that began before are ignored. */
  #run = 0

  constructor(source: PostgresSubscriberSource, channel: string, times: typeof TIMES = TIMES) {
    this.#source = source
    this.#channel = channel
    this.#times = times
  }

  subscribe(onEnd: (key: string | undefined) => void): () => void {
    const remove = this.#watchers.add(onEnd)
    if (this.#watchers.all.size === 1) this.#start()
    return () => {
      remove()
      if (this.#watchers.all.size === 0) this.#stop()
    }
  }

  close(): void {
    this.#watchers.all.clear()
    this.#stop()
  }

  get #isOwner(): boolean {
    return typeof this.#source === 'function'
  }

  #start(): void {
    this.#run++
    this.#pause = FIRST_PAUSE
    this.#timer = unrefed(setInterval(() => this.#tick(), this.#times.interval))
    void this.#connect(this.#run)
  }

  #stop(): void {
    this.#run++
    clearInterval(this.#timer)
    clearTimeout(this.#reconnecting)
    const line = this.#line
    this.#line = undefined
    if (line !== undefined) this.#leave(line)
  }

  #tick(): void {
    const line = this.#line
    if (line?.isListening !== true) {
      this.#watchers.announce(undefined)
      if (line !== undefined && !this.#isOwner && line.asked === undefined) void this.#listen(line, this.#run)
    } else if (line.asked === undefined) {
      // A connection that was cut silently emits no event; it only stops answering.
      void this.#within(ask(line, 'SELECT 1'), this.#times.patience / 2).catch(() => this.#lost(line))
    }
  }

  async #connect(run: number): Promise<void> {
    let client: PostgresSubscriber | undefined
    try {
      client = await this.#client()
      if (run === this.#run) {
        const line = this.#attach(client)
        this.#line = line
        if (this.#isOwner && isUnconnected(client)) await this.#within(client.connect?.())
        await this.#listen(line, run)
        return
      }
    } catch {
      // Not reported here: each tick notifies the watchers while nothing is received.
    }
    if (run === this.#run) this.#again()
    else if (this.#isOwner && client !== undefined) retire(client)
  }

  /** The Client that the store was given, or a new one. A new one that comes too late is ended, as another one is made by then. */
  async #client(): Promise<PostgresSubscriber> {
    if (typeof this.#source !== 'function') return this.#source
    // A Pool, which is the app's, would give LISTEN to one of its connections and hear nothing over the next.
    const making = Promise.resolve(this.#source()).then((made) =>
      'totalCount' in made ? Promise.reject(new Error()) : made,
    )
    try {
      return await this.#within(making)
    } catch (error) {
      making.then(retire).catch(() => undefined)
      throw error
    }
  }

  async #listen(line: Line, run: number): Promise<void> {
    if (isUnconnected(line.client)) return // it would queue the statement for ever; the next tick tries again
    try {
      await this.#within(ask(line, `LISTEN "${this.#channel}"`))
    } catch {
      if (run === this.#run && this.#line === line) this.#lost(line)
      return
    }
    if (run !== this.#run || this.#line !== line || line.isListening) return
    line.isListening = true
    this.#pause = FIRST_PAUSE
    // Announcements before the LISTEN were not received.
    this.#watchers.announce(undefined)
  }

  #attach(client: PostgresSubscriber): Line {
    const heard = (message: { channel: string; payload?: string | undefined }): void => {
      if (message.channel === this.#channel) this.#watchers.announce(message.payload)
    }
    const lost = (): void => this.#lost(line)
    const line: Line = {
      client,
      isListening: false,
      asked: undefined,
      detach: () => {
        client.removeListener('notification', heard)
        client.removeListener('error', lost)
        client.removeListener('end', lost)
      },
    }
    client.on('notification', heard)
    client.on('error', lost)
    client.on('end', lost)
    return line
  }

  #lost(line: Line): void {
    if (this.#line !== line) return
    const wasListening = line.isListening
    line.isListening = false
    if (this.#isOwner) this.#again()
    if (wasListening) this.#watchers.announce(undefined)
  }

  /** Drops the connection, if any. If the store makes its connections, it makes another one after a pause. */
  #again(): void {
    const line = this.#line
    this.#line = undefined
    if (!this.#isOwner) return
    if (line !== undefined) this.#leave(line)
    const run = this.#run
    clearTimeout(this.#reconnecting)
    this.#reconnecting = unrefed(setTimeout(() => void this.#connect(run), this.#pause * (0.5 + Math.random())))
    this.#pause = Math.min(this.#pause * 2, this.#times.interval)
  }

  #leave(line: Line): void {
    line.detach()
    if (this.#isOwner) retire(line.client)
    else if (line.isListening) {
      // The connection is the caller's. If it is gone, the LISTEN is gone too.
      ask(line, `UNLISTEN "${this.#channel}"`).catch(() => undefined)
    }
  }

  /** The answer, or a failure after that time. */
  async #within<T>(answer: T | Promise<T>, patience = this.#times.patience): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = unrefed(setTimeout(() => reject(new Error('no answer')), patience))
    })
    try {
      return await Promise.race([answer, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** @throws {TypeError} for a subscriber that cannot listen. */
export function checkSubscriber(subscriber: unknown, client: unknown): asserts subscriber is PostgresSubscriberSource {
  if (typeof subscriber === 'function') return
  const rule = "a Client of pg that is the store's alone, or a function that makes one"
  const { query, on } = (subscriber ?? {}) as Partial<Record<'query' | 'on', unknown>>
  if (typeof query !== 'function' || typeof on !== 'function' || !isClient(subscriber)) {
    throw invalidType('options.subscriber', rule, subscriber, 'a Pool gives each statement another connection')
  }
  if (subscriber === client) {
    throw invalidMix('options.subscriber must be another Client than the one for the statements: make a second one')
  }
}

/** Sends the Client a statement once it has answered the one before. */
function ask(line: Line, text: string): Promise<unknown> {
  const query = () => line.client.query({ text })
  const asked = line.asked === undefined ? query() : line.asked.then(query, query)
  const settled = () => {
    if (line.asked === asked) line.asked = undefined
  }
  line.asked = asked
  asked.then(settled, settled)
  return asked
}

/** Ends a connection that the store made, without waiting for it. Its later errors are ignored. */
function retire(client: PostgresSubscriber): void {
  client.on('error', () => undefined)
  // One of `pool.connect()` would go on taking up a place in its Pool.
  const end = () => (client.release ? client.release(true) : client.end?.())
  void Promise.resolve()
    .then(end)
    .catch(() => undefined)
}
