// Notifies listeners of ends, over one subscription at the server. While it is down, `undefined` is announced every few seconds,
// and once more when it is up again: announcements in between are lost. A connection whose packets are dropped emits no event, so
// the server is asked every few seconds whether it answers.
import { setImmediate } from 'node:timers'
import { ignore } from './client.ts'
import type { Feed, OpenFeed } from './feeds.ts'
import { Listeners } from '../listeners.ts'
import { unrefed } from '../../timers.ts'

/** In milliseconds: how often the server is asked whether it answers, and how long it may take. */
const BEAT = 2500
/** While there is no subscription, `undefined` is announced, and a refused one retried, with each second beat. */
const BEATS = 2

/** `'trying'`: the server was asked to subscribe, and has not answered. `'silent'`: it owes the answer to the last ping. */
type State = 'down' | 'trying' | 'up' | 'silent'

/** One subscription for any number of listeners, open while there is a listener. */
export class Subscription {
  readonly #open: OpenFeed
  readonly #channel: string
  readonly #listeners = new Listeners<string | undefined>()
  #feed: Feed | undefined
  #timer: NodeJS.Timeout | undefined
  #attempts = 0
  #beats = 0
  #state: State = 'down'

  constructor(open: OpenFeed, channel: string) {
    this.#open = open
    this.#channel = channel
  }

  add(onEnd: (key: string | undefined) => void): () => void {
    const remove = this.#listeners.add(onEnd)
    if (this.#feed === undefined) this.#start()
    return () => {
      remove()
      if (this.#listeners.all.size === 0) this.close()
    }
  }

  close(): void {
    this.#listeners.all.clear()
    this.#attempts++
    clearInterval(this.#timer)
    this.#feed?.close()
    this.#feed = undefined
  }

  #start(): void {
    const isOpen = () => this.#feed === feed
    const feed: Feed = this.#open(this.#channel, {
      message: (key) => isOpen() && this.#listeners.announce(key),
      lost: () => isOpen() && this.#fall(),
      back: () => isOpen() && this.#confirm(),
    })
    this.#feed = feed
    this.#timer = unrefed(setInterval(() => this.#beat(feed), BEAT))
    this.#confirm()
  }

  #beat(feed: Feed): void {
    const attempt = this.#attempts
    this.#beats++
    if (this.#state === 'up') {
      this.#state = 'silent'
      const answered = () => {
        if (attempt === this.#attempts && this.#state === 'silent') this.#state = 'up'
      }
      feed.ping().then(answered, ignore)
    } else if (this.#state === 'silent') {
      // After a turn in which the process was busy, the answer may have arrived without being read.
      setImmediate(() => {
        if (attempt !== this.#attempts || this.#state !== 'silent') return
        this.#listeners.announce(undefined)
        this.#confirm()
      })
    } else if (this.#beats % BEATS === 0) {
      this.#listeners.announce(undefined)
      if (this.#state === 'down') this.#confirm()
    }
  }

  #confirm(): void {
    const attempt = ++this.#attempts
    this.#state = 'trying'
    const settled = (isUp: boolean) => {
      if (attempt !== this.#attempts) return
      this.#state = isUp ? 'up' : 'down'
      if (isUp) this.#listeners.announce(undefined)
    }
    this.#feed?.confirm().then(
      () => settled(true),
      () => settled(false),
    )
  }

  #fall(): void {
    if (this.#state !== 'trying') this.#state = 'down'
  }
}
