// How a check is run: in its turn, on a store that it leaves as it was, and not for ever.
import assert from 'node:assert/strict'
import type { SessionStore } from '../store.ts'

/** A store, a promise of it, or a function that opens one. */
export type StoreSource = SessionStore | Promise<SessionStore> | (() => SessionStore | Promise<SessionStore>)

/** One promise of a store. */
export interface StoreCheck {
  /** The promise, as a claim in the present tense; no two are alike. */
  readonly title: string
  /**
   * Resolves when the store keeps the promise. It deletes every record that it made, also when it fails.
   *
   * A function opens the store, or each of two stores over the same data: it must give another store with each call. What it
   * opened is closed in the end; a store that was given is not.
   *
   * @throws {AssertionError} of `node:assert` when the store breaks the promise or does not answer within 20 seconds; an error
   * of the store's own comes through as it is.
   */
  readonly run: (store: StoreSource) => Promise<void>
}

type OptionalVerb = 'list' | 'listKeys' | 'scan' | 'subscribe' | 'deleteExpired' | 'close'

/** A store that has these of the optional verbs. */
export type With<Verb extends OptionalVerb> = SessionStore & Required<Pick<SessionStore, Verb>>

const DEADLINE = 20_000
const CLEANING_DEADLINE = 5000

/** How many records are deleted at a time. */
const CLEANING_WIDTH = 10

// Stores of one process may share a database, where one check's sweep would be counted by another: so they take turns.
let queue: Promise<unknown> = Promise.resolve()

export function check(
  title: string,
  body: (store: SessionStore) => Promise<void>,
  deadline: number = DEADLINE,
): StoreCheck {
  return checkOf(title, deadline, async (stores) => body(await stores.open()))
}

/** A check of an optional verb: it passes where the store does not have it. */
export function checkWhere<Verb extends OptionalVerb>(
  verb: Verb,
  title: string,
  body: (store: With<Verb>) => Promise<void>,
): StoreCheck {
  const has = (store: SessionStore): store is With<Verb> => typeof store[verb] === 'function'
  return check(`where the store has ${verb}, ${title}`, async (store) => {
    if (has(store)) await body(store)
  })
}

/** A check of two stores over the same data: it passes where no function opens them. */
export function checkBeside(
  title: string,
  body: (store: SessionStore, other: SessionStore) => Promise<void>,
): StoreCheck {
  return checkOf(`where a function opens the store, ${title}`, DEADLINE, async (stores) => {
    if (stores.canOpenMore) await body(await stores.open(), await stores.open())
  })
}

function checkOf(title: string, deadline: number, body: (stores: Stores) => Promise<void>): StoreCheck {
  return {
    title,
    run(source) {
      // It may be refused while the check waits for its turn, and is told then.
      if (source instanceof Promise) source.catch(() => undefined)
      const turn = queue.then(async () => {
        const stores = new Stores(source)
        try {
          await within(
            deadline,
            body(stores),
            () => `the check did not end within ${deadline / 1000} s: ${stores.state}`,
          )
        } finally {
          await stores.clean()
        }
      })
      queue = turn.catch(() => undefined)
      return turn
    },
  }
}

/** The stores of one check, what they were asked to write, and what they have not answered yet. */
class Stores {
  readonly canOpenMore: boolean
  readonly #open: () => SessionStore | Promise<SessionStore>
  readonly #opened: SessionStore[] = []
  readonly #written = new Set<string>()
  readonly #underWay = new Map<string, number>()
  #isClosed = false
  #isOver = false

  constructor(source: StoreSource) {
    this.canOpenMore = typeof source === 'function'
    this.#open = typeof source === 'function' ? source : () => source
  }

  /** What the check waits for. */
  get state(): string {
    if (this.#opened.length === 0) return 'the store was not opened'
    const calls = [...this.#underWay].filter(([, count]) => count > 0)
    const verbs = calls.map(([verb, count]) => (count === 1 ? verb : `${verb} (${count} calls)`))
    return verbs.length === 0 ? 'no call was under way' : `the store did not answer ${verbs.join(', ')}`
  }

  async open(): Promise<SessionStore> {
    const store = await this.#open()
    assert.ok(!this.#opened.includes(store), 'the function must open another store with each call')
    this.#opened.push(store)
    return this.#watched(store)
  }

  /** Deletes what the check has written, as far as the store does that. Whether `delete` works is for other checks to say. */
  async clean(): Promise<void> {
    this.#isOver = true
    const [store] = this.#opened
    const keys = [...this.#written]
    const work = async () => {
      while (!this.#isClosed && store && keys.length > 0)
        await Promise.allSettled(keys.splice(0, CLEANING_WIDTH).map(async (key) => store.delete(key)))
      if (this.canOpenMore) await Promise.allSettled(this.#opened.map(async (opened) => opened.close?.()))
    }
    await within(CLEANING_DEADLINE, work(), () => 'cleaning took too long').catch(() => undefined)
  }

  /** The same store, with its calls noted. */
  #watched(store: SessionStore): SessionStore {
    const always = ['create', 'read', 'replace', 'touch', 'delete'] as const
    const sometimes = ['list', 'listKeys', 'scan', 'subscribe', 'deleteExpired', 'close'] as const
    const verbs = [...always, ...sometimes]
      .filter((name) => typeof store[name] === 'function')
      .map((name) => {
        const verb = (...args: unknown[]): unknown => {
          this.#note(name, args[0])
          // Called as it was here: only the types of this list of verbs are lost.
          const answer = (store[name] as (...given: unknown[]) => unknown)(...args)
          if (answer instanceof Promise) this.#await(name, answer)
          return answer
        }
        return [name, verb]
      })
    const watched: unknown = Object.fromEntries(verbs)
    return watched as SessionStore
  }

  #note(name: string, first: unknown): void {
    // What a check that passed its deadline still does is not to reach the store.
    assert.ok(!this.#isOver, 'the check is over')
    if (name === 'close') this.#isClosed = true
    if (name === 'create' || name === 'replace') this.#written.add((first as { key: string }).key)
  }

  #await(name: string, answer: Promise<unknown>): void {
    const count = (step: number) => this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + step)
    count(1)
    const end = () => count(-1)
    answer.then(end, end)
  }
}

/** @throws {AssertionError} with `message` when the work does not end in time. */
async function within(milliseconds: number, work: Promise<void>, message: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: message() })), milliseconds)
  })
  try {
    await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}
