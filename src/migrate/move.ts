// All live sessions of one store into another. A session lives in one of the two at any time, or in both for a moment with
// the same version; one that ended in either never comes back.
import { randomBytes } from 'node:crypto'
import { liveRecord, recordPage, replaced, yesOrNo } from '../answers.ts'
import { inTime } from '../deadlines.ts'
import { invalidMix, invalidType, SessionError } from '../errors.ts'
import { clockOf, isNamed } from '../option-functions.ts'
import { PORTION, portions } from '../portions.ts'
import { isEnded } from '../record/record.ts'
import { CorruptRecord, type RecordPage, type SessionRecord, type SessionStore } from '../store.ts'

/** Options of {@link moveSessions}. */
export interface MoveOptions {
  /** Called, and waited for, after each session that was moved, with how many were so far. What it throws ends the move. */
  readonly onProgress?: ((moved: number) => unknown) | undefined
  /** The clock that decides what has expired. */
  readonly now?: (() => number) | undefined
}

const WIDTH = 16

// A session that gets a new id while the scan goes on may be missed by it: the next pass finds it. The last one moves none.
const MAX_PASSES = 5

/** How often a session that keeps changing is tried in one pass. */
const MAX_TRIES = 5

const CALL_TIMEOUT = 30_000

/**
 * Moves all live sessions from one store into another, records as they are: encrypted ones stay encrypted, nobody's
 * lifetime changes, each cookie finds its session in `to`.
 *
 * A session leaves `from` once `to` has it, so that after an interruption a second call moves the rest alone. It overwrites
 * nothing: where `to` holds another session state under the key, both stay. It moves nothing that has ended, and a session
 * that ends meanwhile in either store ends in the other. A session that is changed in `from` meanwhile is moved as changed.
 *
 * Stop what writes to `from` first, or let it finish with short requests: a request that is under way in a session as it is
 * moved gets `ERR_SESSION_GONE`. Run one at a time: of two at once, either may end a session that the other moves. Run an
 * interrupted one again soon: of the sixteen that were under way, one that is signed out of in `to` can be told from one
 * that was not moved yet for a minute only, and one that was signed out of in `from` from one that was moved. And not during
 * the `overlap` of a `takeOver`, whose notes do not move.
 *
 * ```ts
 * const count = await moveSessions(new SqliteStore('sessions.db'), new RedisStore(client))
 * ```
 *
 * @returns how many were moved.
 * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when `from` has no `scan`; `ERR_SESSION_STORE` when a store failed or gave
 * no answer within 30 seconds: what was moved stays moved.
 * @throws {TypeError} for something else than two stores, for two that keep the same data, and for unknown options.
 */
export async function moveSessions(from: SessionStore, to: SessionStore, options: MoveOptions = {}): Promise<number> {
  checkStore(from, 'the first argument of moveSessions()')
  checkStore(to, 'the second argument of moveSessions()')
  if (from === to) throw invalidMix('moveSessions() needs two stores, and got the same one twice')
  const move = new Move(from, to, checkedOptions(options))
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
  /** A session went on under another key, perhaps one that the scan had passed already. */
  #hasMissed = false
  #apart: Promise<void> | undefined
  readonly #from: SessionStore
  readonly #to: SessionStore
  readonly #onProgress: (moved: number) => unknown
  readonly #now: () => number

  constructor(from: SessionStore, to: SessionStore, { onProgress, now }: MoveOptions) {
    this.#from = from
    this.#to = to
    this.#onProgress = onProgress ?? ((): void => undefined)
    this.#now = clockOf(now)
  }

  /** Walks through `from` once; whether another pass may find something. */
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

  async #portion(records: readonly SessionRecord[]): Promise<void> {
    let next = 0
    const work = async (): Promise<void> => {
      for (let record = records[next++]; record !== undefined; record = records[next++]) {
        try {
          if (await this.#move(record)) await this.#onProgress(++this.moved)
        } catch (error) {
          next = records.length // the others finish what they are at, and begin nothing more
          throw error
        }
      }
    }
    const outcomes = await Promise.allSettled(Array.from({ length: Math.min(WIDTH, records.length) }, work))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Moves one session; whether it left `from` for `to`. */
  async #move(scanned: SessionRecord): Promise<boolean> {
    if (isEnded(scanned)) return this.#endCopy(scanned.key)
    const isCreated = await ask(() => this.#to.create(scanned, this.#now()), yesOrNo)
    const met = isCreated ? 'copied' : await this.#meet(scanned)
    if (met !== 'copied') return met
    let record = scanned
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (await this.#remove(this.#from, record)) return true
      // It changed or ended meanwhile: `to` follows.
      let newest: SessionRecord | undefined
      try {
        newest = await this.#follow(record, isCreated)
      } catch (error) {
        // `from` alone knows what became of it. If this fails, too, the first error is what the caller must know.
        await this.#remove(this.#to, record).catch(() => undefined)
        throw error
      }
      if (newest === undefined) return false
      record = newest
    }
    // It keeps changing: it stays in `from` alone, for the next pass.
    this.#hasMissed = true
    await this.#remove(this.#to, record)
    return false
  }

  /** Brings the copy in `to` to the newest state of the session, and gives it; `undefined` where there is no more to do. */
  async #follow(record: SessionRecord, isCreated: boolean): Promise<SessionRecord | undefined> {
    const newest = await this.#read(this.#from, record.key)
    if (newest === undefined || isEnded(newest)) {
      this.#hasMissed = true
      // What merely left `from` while an earlier copy was met may have been moved by another call.
      if (isCreated || newest !== undefined) await ask(() => this.#to.delete(record.key), yesOrNo)
      return undefined
    }
    const outcome = await ask(() => this.#to.replace(newest, record.version, this.#now()), replaced)
    if (outcome === 'done') return newest
    // Where a request over `to` has changed it, too, which of the two is right cannot be known here.
    if (outcome === 'gone') await this.#remove(this.#from, newest)
    return undefined
  }

  /** `from` knows that this session has ended: an earlier call may have been interrupted after it had copied it. */
  async #endCopy(key: string): Promise<false> {
    const held = await this.#read(this.#to, key)
    if (held !== undefined && !isEnded(held)) await ask(() => this.#to.delete(key), yesOrNo)
    return false
  }

  /**
   * `to` holds the key already: `'copied'` where it is a copy of this very state, of an earlier call that was interrupted. Where
   * the session has gone on there, or ended, it has only to leave `from`; whether it did.
   */
  async #meet(record: SessionRecord): Promise<boolean | 'copied'> {
    const held = await this.#read(this.#to, record.key)
    if (held === undefined) return false
    if (!isEnded(held) && isSame(held, record)) {
      await (this.#apart ??= this.#assertApart())
      return 'copied'
    }
    if (!isEnded(held) && held.version <= record.version) return false
    const hasLeft = await this.#remove(this.#from, record)
    // If it ended there meanwhile, the next pass finds that.
    if (!hasLeft) this.#hasMissed = true
    return hasLeft && !isEnded(held)
  }

  /** @throws {TypeError} where both stores keep the same data: what left the one would have left the other. */
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

  /** Removes this version from a store, and no other; whether it was there. */
  async #remove(store: SessionStore, record: SessionRecord): Promise<boolean> {
    const now = this.#now()
    const end = {
      ...record,
      version: record.version + 1,
      payload: '',
      owner: undefined,
      meta: undefined,
      expiresAt: now,
    }
    if ((await ask(() => store.replace(end, record.version, now), replaced)) !== 'done') return false
    await ask(() => store.delete(record.key), yesOrNo)
    return true
  }

  async #read(store: SessionStore, key: string): Promise<SessionRecord | undefined> {
    const now = this.#now()
    const read = async (): Promise<unknown> => {
      try {
        return await store.read(key, now)
      } catch (error) {
        if (error instanceof CorruptRecord) return undefined
        throw error
      }
    }
    const found = await ask(read, (answer) => liveRecord(answer, key, now))
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

/** One call of a store, which has so long, and what its answer means. @throws {SessionError} `ERR_SESSION_STORE` */
async function ask<Answer>(call: () => unknown, check: (answer: unknown) => Answer): Promise<Answer> {
  try {
    const answer = await inTime(CALL_TIMEOUT, call(), () => {
      throw new Error(`no answer within ${CALL_TIMEOUT} ms`)
    })
    return check(answer)
  } catch (cause) {
    throw new SessionError(
      'ERR_SESSION_STORE',
      'a store failed while sessions were moved: error.cause says why. What was moved stays moved, and a second call moves the rest',
      { cause },
    )
  }
}

function checkStore(store: unknown, name: string): void {
  const verbs = ['create', 'read', 'replace', 'delete'] as const
  const given = (typeof store === 'object' ? (store ?? {}) : {}) as Readonly<Record<string, unknown>>
  const missing = verbs.find((verb) => typeof given[verb] !== 'function')
  if (missing !== undefined) throw invalidType(name, `a session store, with a method ${missing}`, store)
}

function checkedOptions(options: MoveOptions): MoveOptions {
  const given: unknown = options
  if (!isNamed(given)) throw invalidType('the options of moveSessions()', 'an object', given)
  for (const [name, value] of Object.entries(given)) {
    if (name !== 'onProgress' && name !== 'now')
      throw invalidMix(`${name} is no option of moveSessions(): the options are onProgress and now`)
    if (value !== undefined && typeof value !== 'function') throw invalidType(`options.${name}`, 'a function', value)
  }
  return options
}
