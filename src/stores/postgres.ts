/**
 * Sessions in PostgreSQL, for any number of machines: {@link PostgresStore}.
 *
 * @module koa-fastsession/postgres
 */

// Session records in a PostgreSQL table, with one statement per verb and no transaction. It sends SQL through the caller's client
// and does not manage connections. Instants are numbers in the table as in a record, so no time zone of a server or a session can
// shift them.
import { checkFlag, checkOptions } from '../checks.ts'
import { SessionError, storeFailure } from '../errors.ts'
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../store.ts'
import { MAX_SWEEP } from './limits.ts'
import { discreet, sender, sqlState, type PGliteClient, type PostgresClient, type Send } from './postgres/client.ts'
import { checkSubscriber, Listener, type PostgresSubscriberSource } from './postgres/listener.ts'
import { countIn, keyOf, otherAnswer, readable, toRecord, toRow, toValues, type Values } from './postgres/rows.ts'
import {
  channelOf,
  makingOf,
  statementsFor,
  type PostgresTable,
  type Statement,
  type Statements,
} from './postgres/statements.ts'
import { isAscii, toAscii, toText } from './text.ts'

export { postgresSchema, type PostgresTable } from './postgres/statements.ts'
export type { PGliteClient, PostgresClient, PostgresResult } from './postgres/client.ts'
export type { PostgresSubscriber, PostgresSubscriberSource } from './postgres/listener.ts'

/** The options of a {@link PostgresStore}. */
export interface PostgresStoreOptions extends PostgresTable {
  /**
   * Makes the table and its indexes on first use if the table is missing. `false`: it exists already, made from
   * {@link postgresSchema}, and the store needs only the rights to read and write it.
   *
   * @default true
   */
  readonly createTable?: boolean | undefined
  /**
   * The connection that is notified of sessions that other processes end, for `session.signal`: a `pg` Client that belongs to
   * this store alone; the caller connects it, and the store never closes it. It cannot reconnect: when it is lost, watched
   * sessions are read every five seconds instead. Better, a function that makes a new Client: the store connects that Client,
   * makes another one when it is lost, and ends it with `close()`.
   *
   * `LISTEN` belongs to one connection to the server. So a Pool does not work, and the Client must bypass a PgBouncer in
   * transaction mode. Left out, watched sessions are read periodically. Ends are announced in either case.
   */
  readonly subscriber?: PostgresSubscriberSource | undefined
}

// The records that the sweep looks at in one statement: it holds few locks, and only briefly. And the most such statements of one
// call, including those of live records.
const BATCH = 500
const MAX_BATCHES = 200
// How often a statement is run again after a serialization failure, which happens only above READ COMMITTED; and how often a
// replace tries again after the record changed under it.
const RETRIES = 20

// What the server refuses a statement with that may succeed in another form, or the next time.
const UNDEFINED_TABLE = '42P01'
const UNKNOWN_STATEMENT = '26000'
const DUPLICATE_STATEMENT = '42P05'
const SERIALIZATION_FAILURE = '40001'
// The database's encoding is not UTF-8 and lacks a character.
const UNTRANSLATABLE = '22P05'
// A full queue of announcements, no right to announce, a server without announcements.
const NOT_ANNOUNCED: ReadonlySet<unknown> = new Set(['54000', '42501', '42883', '0A000'])

const CLOCK = { text: 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint::text AS now' }

/**
 * Keeps sessions in PostgreSQL, for any number of machines.
 *
 * `client` is a Pool or a Client of `pg` (or of `pg.native`), or PGlite. The caller owns it, and the store never closes it. A
 * Client must be connected and belong to the store alone: a transaction that the app runs on it would include the store's
 * statements. A Client that has lost its connection fails from then on, while a Pool connects again. A Pool needs a listener
 * for its `'error'` event, or a lost idle connection ends the process: `pool.on('error', ...)`. Type parsers that the app has
 * set do not affect the store.
 *
 * Each verb is one statement, correct under every isolation level, and prepared under a name. A pooler that does not keep
 * prepared statements (PgBouncer in transaction mode before 1.21, or with `max_prepared_statements = 0`) refuses one; from then
 * on the store sends statements without names.
 *
 * The statement that ends a session also announces it with `NOTIFY`, which needs no right and no further round trip. If the
 * server refuses that, the session ends without it. `options.subscriber` receives the announcements.
 *
 * ```ts
 * const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
 * pool.on('error', console.error)
 * const subscriber = () => new pg.Client({ connectionString: process.env.DATABASE_URL })
 * app.use(session({ store: new PostgresStore(pool, { subscriber }) }))
 * ```
 *
 * Any other client needs a `query` that resolves to the rows as objects. For postgres.js:
 *
 * ```ts
 * const sql = postgres(url)
 * const client: PostgresClient = {
 *   query: async ({ text, values }) => ({ rows: await sql.unsafe(text, values) }),
 * }
 * app.use(session({ store: new PostgresStore(client) }))
 * ```
 */
export class PostgresStore implements SessionStore {
  readonly #send: Send
  readonly #making: string | undefined
  readonly #statements: Statements
  readonly #listener: Listener | undefined
  /** Calls `onEnd` for sessions that end in any process; `undefined` without `options.subscriber`. */
  readonly subscribe?: (onEnd: (key: string | undefined) => void) => () => void
  #made: Promise<unknown> | undefined
  #keepsNames = true
  #announces = true
  #keepsAsciiOnly = false

  /** @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a wrong argument. */
  // Two signatures, so that the parameter of a `query` written inline gets its type.
  constructor(client: PostgresClient, options?: PostgresStoreOptions)
  /** The same over PGlite. */
  // eslint-disable-next-line @typescript-eslint/unified-signatures
  constructor(client: PGliteClient, options?: PostgresStoreOptions)
  constructor(client: PostgresClient | PGliteClient, options: PostgresStoreOptions = {}) {
    this.#send = sender(client)
    checkOptions(options, ['table', 'schema', 'createTable', 'subscriber'])
    const { createTable = true, subscriber } = options
    checkFlag(createTable, 'options.createTable')
    this.#statements = statementsFor(options)
    this.#making = createTable ? makingOf(options) : undefined
    if (subscriber === undefined) return
    checkSubscriber(subscriber, client)
    const listener = new Listener(subscriber, channelOf(options))
    this.#listener = listener
    this.subscribe = (onEnd) => listener.subscribe(onEnd)
  }

  async create(record: SessionRecord, now: number): Promise<boolean> {
    const rows = await this.#run(this.#statements.create, [...toValues(record), String(now)])
    return rows.length > 0
  }

  async read(key: string, now: number): Promise<SessionRecord | undefined> {
    const [row] = await this.#run(this.#statements.read, [key, String(now)])
    return row === undefined ? undefined : toRecord(toRow(row))
  }

  async replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    const values = [...toValues(record), String(now), String(version)]
    const isEnd = record.expiresAt <= now || record.payload.length === 0
    for (let tries = 0; tries <= RETRIES; tries++) {
      const { end, replace } = this.#statements
      const [row] = await (isEnd ? this.#runAloud(end, replace, values) : this.#run(replace, values))
      const answer = row as { done?: unknown; version?: unknown } | undefined
      if (answer?.done === 'true') return 'done'
      if (answer?.done !== 'false') throw otherAnswer()
      if (answer.version === null) return 'gone'
      if (Number(answer.version) !== version) return 'stale'
      // The record had this version when the statement began, and was changed or removed while the statement waited for the row.
    }
    throw storeFailure(`a record changed under each of ${RETRIES} replaces: nothing was written`)
  }

  async touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    const values = [key, String(version), String(lastSeenAt), String(expiresAt), String(now)]
    return (await this.#run(this.#statements.touch, values)).length > 0
  }

  async delete(key: string): Promise<boolean> {
    const { removeAloud, remove } = this.#statements
    return (await this.#runAloud(removeAloud, remove, [key])).length > 0
  }

  async list(owner: string, now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const values = [toText(owner), String(now), cursor ?? '', String(limit)]
    const rows = await this.#run(this.#statements.list, values)
    return { records: readable(rows, now), cursor: nextAfter(rows, limit) }
  }

  async listKeys(owner: string, now: number, limit: number, cursor: string | undefined): Promise<KeyPage> {
    const values = [toText(owner), String(now), cursor ?? '', String(limit)]
    const rows = await this.#run(this.#statements.listKeys, values)
    const live = rows.filter((row) => (row as { live?: unknown } | null)?.live !== 'false')
    return { keys: live.map(keyOf), cursor: nextAfter(rows, limit) }
  }

  async scan(now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const rows = await this.#run(this.#statements.scan, [String(now), cursor ?? '', String(limit)])
    return { records: readable(rows, now), cursor: nextAfter(rows, limit) }
  }

  async deleteExpired(now: number, limit: number): Promise<number> {
    let total = 0
    const end = performance.now() + MAX_SWEEP
    for (let batch = 0; total < limit && batch < MAX_BATCHES && performance.now() < end; batch++) {
      const values = [String(now), String(BATCH), String(limit - total)]
      const [counts] = await this.#run(this.#statements.sweep, values)
      const removed = countIn(counts, 'removed')
      total += removed
      if (removed + countIn(counts, 'postponed') === 0) break
    }
    return total
  }

  async serverTime(): Promise<number> {
    const [row] = await this.#run(CLOCK, [])
    return countIn(row, 'now')
  }

  /** Ends subscriptions, and a connection that the store made for them. The other verbs go on working. */
  close(): void {
    this.#listener?.close()
  }

  /** Runs the statement that announces, or, if only the announcement was refused, the silent one. */
  async #runAloud(aloud: Statement, silent: Statement, values: Values): Promise<readonly unknown[]> {
    if (!this.#announces) return this.#run(silent, values)
    try {
      return await this.#run(aloud, values)
    } catch (error) {
      const state = sqlState(error instanceof SessionError ? error.cause : error)
      if (!NOT_ANNOUNCED.has(state)) throw error
      const rows = await this.#run(silent, values)
      // A full queue (54000) empties again. A missing right or function does not come back, so the store stops announcing.
      if (state !== '54000') this.#announces = false
      return rows
    }
  }

  /** Runs a statement, and repeats it if the server's error means that nothing was done and that it may succeed. */
  async #run(statement: Statement, given: Values): Promise<readonly unknown[]> {
    const { name, text } = statement
    let values = this.#keepsAsciiOnly ? withAscii(given, statement.opaque) : given
    let making = this.#making
    // Ends with an answer, or throws when tries is RETRIES at the latest.
    for (let tries = 0; ; tries++) {
      const withName = name !== undefined && this.#keepsNames
      try {
        return await this.#send(withName ? { name, text, values } : { text, values })
      } catch (error) {
        const state = sqlState(error)
        if (tries === RETRIES) throw discreet(error)
        if (state === UNDEFINED_TABLE && making !== undefined) {
          await this.#make(making)
          making = undefined
        } else if (state === UNTRANSLATABLE) {
          const next = this.#translated(statement, values)
          if (next === undefined) throw discreet(error)
          values = next
        } else if (withName && (state === UNKNOWN_STATEMENT || state === DUPLICATE_STATEMENT)) this.#keepsNames = false
        else if (state !== SERIALIZATION_FAILURE) throw discreet(error)
      }
    }
  }

  /**
   * The values in a form that the database can hold. An owner is compared, so it must always be written in one way: as it is,
   * unless the database cannot hold it. So the opaque values are converted first, because they may have been the reason.
   */
  #translated({ opaque, owner }: Statement, refused: Values): Values | undefined {
    if (opaque?.some((place) => !isAscii(refused[place] ?? '')) === true) {
      this.#keepsAsciiOnly = true
      return withAscii(refused, opaque)
    }
    if (owner === undefined || isAscii(refused[owner] ?? '')) return undefined
    return withAscii(refused, [owner])
  }

  /** Makes the table. A failure is not remembered. */
  async #make(text: string): Promise<void> {
    this.#made ??= this.#send({ text }).finally(() => {
      this.#made = undefined
    })
    try {
      await this.#made
    } catch (error) {
      throw discreet(error)
    }
  }
}

/** The cursor of the next portion: the last key of this one; `undefined` after the last portion. */
function nextAfter(rows: readonly unknown[], limit: number): string | undefined {
  return rows.length < limit ? undefined : keyOf(rows.at(-1))
}

function withAscii(values: Values, places: readonly number[] = []): Values {
  return values.map((value, place) =>
    value !== null && places.includes(place) && !isAscii(value) ? toAscii(value) : value,
  )
}
