// Moves all live sessions from one store into another. At any time a session lives in one of the two, or for a moment in both
// with the same version. A session that ended in either never comes back.
import { randomBytes } from 'node:crypto'
import { liveRecord, recordPage, replaced, yesOrNo } from '../answers.ts'
import { inTime } from '../deadlines.ts'
import { invalidMix, SessionError, storeFailure } from '../errors.ts'
import { assertNames, callable, clockOf } from '../option-functions.ts'
import { storeOf } from '../option-values.ts'
import { PORTION, portions } from '../portions.ts'
import { endedRecord, isEnded } from '../record/record.ts'
import { passOver, type RecordPage, type SessionRecord, type SessionStore } from '../store.ts'

/** Options of {@link moveSessions}. */
export interface MoveOptions {
  /** Called after each moved session with the number moved so far, and awaited. The move ends with an error that it throws. */
  readonly onProgress?: ((moved: number) => unknown) | undefined
  /** The clock that decides what has expired. */
  readonly now?: (() => number) | undefined
}

const WIDTH = 16

// A scan may miss a session that gets a new id meanwhile: the next pass finds it. The last pass is one that moves none.
const MAX_PASSES = 5

/** How often a session that keeps changing is tried in one pass. */
const MAX_TRIES = 5

const CALL_TIMEOUT = 30_000

/**
 * Moves all live sessions from one store into another. Records are moved unchanged: encrypted ones stay encrypted, lifetimes stay
 * the same, and each cookie finds its session in `to`.
 *
 * A session is removed from `from` once `to` has it, so that a second call after an interruption moves only the rest. Nothing is
 * overwritten: if `to` holds a newer state of the session, that one stays alone; if it holds any other state, both records stay.
 * Ended sessions are not moved. A session that ends in one store during the move ends in the other. A session that changes in
 * `from` during the move is moved with the change.
 *
 * - First stop the processes that write to `from`, or let them finish with short requests only: a request gets
 *   `ERR_SESSION_GONE` if its session is moved while the request is under way.
 * - Run one move at a time: with two at once, either may end a session that the other moves.
 * - Run an interrupted move again soon: up to sixteen sessions were under way. If the user signs out of one of them, the store
 *   remembers that for a minute only. Later, one signed out of in `to` looks as if it was not moved yet, and one signed out of
 *   in `from` as if it was moved.
 * - Do not move during the `overlap` of a `takeOver`: its claims and ties are not moved.
 *
 * ```ts
 * const count = await moveSessions(new SqliteStore('sessions.db'), new RedisStore(client))
 * ```
 *
 * @returns how many sessions were moved.
 * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when `from` has no `scan`; `ERR_SESSION_STORE` when a store failed or gave
 * no answer within 30 seconds: sessions that were moved stay moved.
 * @throws {TypeError} if an argument is not a store, if both stores hold the same data, or for unknown options.
 */
export async function moveSessions(from: SessionStore, to: SessionStore, options: MoveOptions = {}): Promise<number> {
  storeOf(from, 'the first argument of moveSessions()')
  storeOf(to, 'the second argument of moveSessions()')
  if (from === to) throw invalidMix('moveSessions() needs two stores, and got the same one twice')
  assertNames(options, 'moveSessions()', ['onProgress', 'now'])
  const move = new Move(from, to, options)
  if (from.scan === undefined)
    throw new SessionError(
      'ERR_SESSION_UNSUPPORTED',
      'the store to move from has no scan: only a store that can be walked can be emptied',
    )
  for (let pass = 0; pass < MAX_PASSES; pass++) if (!(await move.pass())) break
  return move.moved
}

class Move {
  moved = 0
  /** This pass may have left a session in `from`: one that kept changing, or went on under a key that the scan had passed. */
  #hasMissed = false
  #apart: Promise<void> | undefined
  readonly #from: SessionStore
  readonly #to: SessionStore
  readonly #onProgress: (moved: number) => unknown
  readonly #now: () => number

  constructor(from: SessionStore, to: SessionStore, { onProgress, now }: MoveOptions) {
    this.#from = from
    this.#to = to
    this.#onProgress = callable(onProgress, 'options.onProgress') ?? ((): void => undefined)
    this.#now = clockOf(now)
  }

  /** Walks through `from` once. Returns whether another pass may find more. */
  async pass(): Promise<boolean> {
    const before = this.moved
    this.#hasMissed = false
    for await (const page of portions((cursor) => this.#page(cursor))) await this.#portion(page.records)
    return this.moved > before || this.#hasMissed
  }

  #page(cursor: string | undefined): Promise<RecordPage> {
    const now = this.#now()
    return ask(
      () => this.#from.scan?.(now, PORTION, cursor),
      (page) => recordPage(page, now, cursor),
    )
  }

  async #portion(found: readonly SessionRecord[]): Promise<void> {
    // Redis may give a record twice in one portion: of two workers with the same record, one would remove what the other has copied.
    const records = [...new Map(found.map((record) => [record.key, record])).values()]
    let next = 0
    const work = async (): Promise<void> => {
      for (let record = records[next++]; record !== undefined; record = records[next++]) {
        try {
          if (await this.#move(record)) await this.#onProgress(++this.moved)
        } catch (error) {
          next = records.length // the other workers finish their current session and start no other
          throw error
        }
      }
    }
    const outcomes = await Promise.allSettled(Array.from({ length: Math.min(WIDTH, records.length) }, work))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Moves one session. Returns whether it left `from` for `to`. */
  async #move(scanned: SessionRecord): Promise<boolean> {
    if (isEnded(scanned)) return this.#endCopy(scanned.key)
    const isCreated = await ask(() => this.#to.create(scanned, this.#now()), yesOrNo)
    const met = isCreated ? 'copied' : await this.#meet(scanned)
    if (met !== 'copied') return met
    let record = scanned
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (await this.#remove(this.#from, record)) return true
      // It changed or ended in `from` meanwhile: the copy in `to` follows.
      const newest = await this.#follow(record, isCreated).catch(async (error: unknown) => {
        // The copy in `to` may be outdated: remove it. If that fails too, the caller still gets the first error.
        await this.#remove(this.#to, record).catch(() => undefined)
        throw error
      })
      if (newest === undefined) return false
      record = newest
    }
    // It keeps changing: it stays only in `from`, for the next pass.
    this.#hasMissed = true
    await this.#remove(this.#to, record)
    return false
  }

  /** Updates the copy in `to` to the newest state in `from` and returns that state; `undefined` if nothing more is to be done. */
  async #follow(record: SessionRecord, isCreated: boolean): Promise<SessionRecord | undefined> {
    const newest = await this.#read(this.#from, record.key)
    if (newest === undefined || isEnded(newest)) {
      this.#hasMissed = true
      // If the copy is an earlier one and `from` has no record any more, another call may have moved it: the copy stays.
      if (isCreated || newest !== undefined) await ask(() => this.#to.delete(record.key), yesOrNo)
      return undefined
    }
    const outcome = await ask(() => this.#to.replace(newest, record.version, this.#now()), replaced)
    if (outcome === 'done') return newest
    // `'gone'`: it ended in `to`. `'stale'`: a request changed it in `to` as well, and nothing here tells which state is right.
    if (outcome === 'gone') await this.#remove(this.#from, newest)
    return undefined
  }

  /** The session has ended in `from`. Ends the copy in `to` that an interrupted earlier call may have left. */
  async #endCopy(key: string): Promise<false> {
    const held = await this.#read(this.#to, key)
    if (held !== undefined && !isEnded(held)) await ask(() => this.#to.delete(key), yesOrNo)
    return false
  }

  /**
   * `to` holds the key already. Returns `'copied'` if it holds exactly this state, copied by an interrupted earlier call, with the
   * uses since, otherwise whether the session left `from` for `to`. If the session has gone on or ended in `to`, removes it from `from`.
   */
  async #meet(record: SessionRecord): Promise<boolean | 'copied'> {
    const held = await this.#read(this.#to, record.key)
    if (held === undefined) return false
    if (!isEnded(held) && isSame(held, record)) {
      await (this.#apart ??= this.#assertApart())
      // A use raises no version. Of two, the store keeps the later one.
      const { key, version, lastSeenAt, expiresAt } = record
      await ask(() => this.#to.touch(key, version, lastSeenAt, expiresAt, this.#now()), yesOrNo)
      return 'copied'
    }
    if (!isEnded(held) && held.version <= record.version) return false
    const hasLeft = await this.#remove(this.#from, record)
    // If it changed or ended in `from` meanwhile, the next pass finds that.
    if (!hasLeft) this.#hasMissed = true
    return hasLeft && !isEnded(held)
  }

  /** @throws {TypeError} if both stores hold the same data: a removal from one would remove the session from the other. */
  async #assertApart(): Promise<void> {
    const now = this.#now()
    const key = randomBytes(32).toString('base64url')
    const instants = { createdAt: now, lastSeenAt: now, expiresAt: now + 60_000 }
    const mark = { key, version: 1, payload: '', owner: undefined, ...instants, meta: undefined }
    await ask(() => this.#to.create(mark, now), yesOrNo)
    const isShared = (await this.#read(this.#from, key)) !== undefined
    await ask(() => this.#to.delete(key), yesOrNo)
    if (isShared)
      throw invalidMix(
        'moveSessions() needs two stores, and both of these keep the same data: give one another database, table or prefix',
      )
  }

  /** Removes this version from a store, and no other. Returns whether it was there. */
  async #remove(store: SessionStore, record: SessionRecord): Promise<boolean> {
    const now = this.#now()
    const end = { ...endedRecord(record, now), expiresAt: now }
    if ((await ask(() => store.replace(end, record.version, now), replaced)) !== 'done') return false
    await ask(() => store.delete(record.key), yesOrNo)
    return true
  }

  async #read(store: SessionStore, key: string): Promise<SessionRecord | undefined> {
    const now = this.#now()
    const read = async (): Promise<unknown> => store.read(key, now)
    const found = await ask(
      () => read().catch(passOver),
      (answer) => liveRecord(answer, key, now),
    )
    return found === 'corrupt' ? undefined : found
  }
}

function isSame(one: SessionRecord, other: SessionRecord): boolean {
  return (
    one.version === other.version &&
    typeof one.payload === typeof other.payload &&
    Buffer.from(one.payload as string).equals(Buffer.from(other.payload as string))
  )
}

/** Calls a store with a deadline of `CALL_TIMEOUT` and checks its answer. @throws {SessionError} `ERR_SESSION_STORE` */
async function ask<Answer>(call: () => unknown, check: (answer: unknown) => Answer): Promise<Answer> {
  try {
    const answer = await inTime(CALL_TIMEOUT, call(), () => {
      throw new Error(`no answer within ${CALL_TIMEOUT} ms`)
    })
    return check(answer)
  } catch (cause) {
    throw storeFailure(
      'a store failed while sessions were moved: error.cause says why. What was moved stays moved, and a second call moves the rest',
      { cause },
    )
  }
}
