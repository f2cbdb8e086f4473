// Runs checks: one after another, each with a deadline, each deleting what it wrote.
import assert from 'node:assert/strict'
import type { SessionStore } from '../store.ts'

/** A store, a promise of it, or a function that opens one. */
export type StoreSource = SessionStore | Promise<SessionStore> | (() => SessionStore | Promise<SessionStore>)

/** One promise of a store. */
export interface StoreCheck {
  /** The promise, as a claim in the present tense. Unique. */
  readonly title: string
  /**
   * Resolves when the store keeps the promise. Deletes every record that the check made, also when the check fails.
   *
   * If `store` is a function, it opens the store, or each of two stores over the same data: each call must return a new store.
   * The check closes the stores that it opened. It does not close a store that was passed in.
   *
   * @throws {AssertionError} of `node:assert` when the store breaks the promise or the check does not end within 20 seconds. Errors
   * thrown by the store are passed through.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something that is no store, and opens none.
   */
  readonly run: (store: StoreSource) => Promise<void>
}

const OPTIONAL_VERBS = ['list', 'listKeys', 'scan', 'subscribe', 'deleteExpired', 'close'] as const
const VERBS = ['create', 'read', 'replace', 'touch', 'delete', ...OPTIONAL_VERBS] as const

type OptionalVerb = (typeof OPTIONAL_VERBS)[number]

/** A store with these optional verbs. */
export type With<Verb extends OptionalVerb> = SessionStore & Required<Pick<SessionStore, Verb>>

const DEADLINE = 20_000
const CLEANING_DEADLINE = 5000
const LATE_DEADLINE = 1000

/** How many records are deleted in parallel. */
const CLEANING_WIDTH = 10

// Checks run one at a time: stores of one process may share a database, and one check's sweep would spoil another's counts.
let queue: Promise<unknown> = Promise.resolve()

/** A check of any store. `now` is the instant at which it begins. */
export function check(
  title: string,
  body: (store: SessionStore, now: number) => Promise<void>,
  deadline: number = DEADLINE,
): StoreCheck {
  return checkOf(title, deadline, async (stores) => body(await stores.open(), Date.now()))
}

/** A check of an optional verb. It passes when the store does not have the verb. */
export function checkWhere<Verb extends OptionalVerb>(
  verb: Verb,
  title: string,
  body: (store: With<Verb>, now: number) => Promise<void>,
): StoreCheck {
  return check(`where the store has ${verb}, ${title}`, async (store, now) => {
    if (has(store, verb)) await body(store, now)
  })
}

/** Whether a store has an optional verb. */
export function has<Verb extends OptionalVerb>(store: SessionStore, verb: Verb): store is With<Verb> {
  return typeof store[verb] === 'function'
}

/** A check of two stores over the same data. It passes when the source is not a function that opens them. */
export function checkBeside(
  title: string,
  body: (store: SessionStore, other: SessionStore, now: number) => Promise<void>,
): StoreCheck {
  return checkOf(`where a function opens the store, ${title}`, DEADLINE, async (stores) => {
    const store = await stores.open()
    if (stores.canOpenMore) await body(store, await stores.open(), Date.now())
  })
}

function checkOf(title: string, deadline: number, body: (stores: Stores) => Promise<void>): StoreCheck {
  return {
    title,
    run(source) {
      // The promise may reject while the check waits for its turn. The check reports the rejection when it runs.
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

/** The stores of one check, the keys that it wrote, and the calls that are not answered yet. */
class Stores {
  readonly canOpenMore: boolean
  readonly #open: () => SessionStore | Promise<SessionStore>
  readonly #opened: SessionStore[] = []
  readonly #written = new Set<string>()
  readonly #underWay = new Map<Promise<unknown>, string>()
  #isClosed = false
  #isOver = false

  constructor(source: StoreSource) {
    this.canOpenMore = typeof source === 'function'
    this.#open = typeof source === 'function' ? source : () => source
  }

  /** A description of what the check waits for. */
  get state(): string {
    if (this.#opened.length === 0) return 'the store was not opened'
    const calls = [...this.#underWay.values()]
    const count = (verb: string) => calls.filter((one) => one === verb).length
    const verbs = [...new Set(calls)].map((verb) => (count(verb) === 1 ? verb : `${verb} (${count(verb)} calls)`))
    return verbs.length === 0 ? 'no call was under way' : `the store did not answer ${verbs.join(', ')}`
  }

  async open(): Promise<SessionStore> {
    const store = await this.#open()
    assertStore(store)
    // A check that has ended meanwhile closes no store any more.
    if (this.#isOver && this.canOpenMore) await store.close?.()
    assert.ok(!this.#opened.includes(store), 'the function must open another store with each call')
    this.#opened.push(store)
    return this.#watched(store)
  }

  /** Deletes what the check has written. Failures are ignored: other checks test `delete`. */
  async clean(): Promise<void> {
    this.#isOver = true
    const [store] = this.#opened
    const keys = [...this.#written]
    const answers = Promise.allSettled(this.#underWay.keys()).then(() => undefined)
    const work = async () => {
      // A write that is under way may land after the delete of its key.
      await within(LATE_DEADLINE, answers, () => 'a call is not answered').catch(() => undefined)
      while (!this.#isClosed && store && keys.length > 0)
        await Promise.allSettled(keys.splice(0, CLEANING_WIDTH).map(async (key) => store.delete(key)))
      if (this.canOpenMore) await Promise.allSettled(this.#opened.map(async (opened) => opened.close?.()))
    }
    await within(CLEANING_DEADLINE, work(), () => 'cleaning took too long').catch(() => undefined)
  }

  /** The same store, with its calls recorded. */
  #watched(store: SessionStore): SessionStore {
    const verbs = VERBS.filter((name) => typeof store[name] === 'function').map((name) => {
      const verb = (...args: unknown[]): unknown => {
        // A check that goes on after its deadline must not reach the store.
        assert.ok(!this.#isOver, 'the check is over')
        if (name === 'close') this.#isClosed = true
        if (name === 'create' || name === 'replace') this.#written.add((args[0] as { key: string }).key)
        // The arguments are passed on unchanged: the cast drops only the types of the verbs.
        const answer = (store[name] as (...given: unknown[]) => unknown)(...args)
        if (answer instanceof Promise) this.#await(name, answer)
        return answer
      }
      return [name, verb]
    })
    return Object.fromEntries(verbs) as SessionStore
  }

  #await(name: string, answer: Promise<unknown>): void {
    this.#underWay.set(answer, name)
    const end = () => this.#underWay.delete(answer)
    answer.then(end, end)
  }
}

/** Tests in JavaScript may pass anything. @throws {TypeError} `ERR_INVALID_ARG_TYPE`. */
function assertStore(store: unknown): void {
  if (typeof store === 'object' && store !== null && 'create' in store) return
  const got = store === null || typeof store !== 'object' ? String(store) : 'an object without create()'
  const message = `run() must get a store, a promise of one, or a function that opens one, got ${got}`
  throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' })
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
