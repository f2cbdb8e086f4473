/**
 * Sessions in MariaDB or MySQL, for any number of machines: {@link MysqlStore}.
 *
 * @module koa-fastsession/mysql
 */

// Session records in a table of MariaDB 10.6 or later or MySQL 8, with one statement per verb and no transaction. It sends SQL
// through the caller's `mysql2` pool or connection. Instants are numbers in the table as in a record, so no time zone of a server
// or a session can shift them.
import { checkFlag, checkOptions } from '../checks.ts'
import { invalidMix, invalidType, invalidValue } from '../errors.ts'
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../store.ts'
import { unlessCorrupt } from '../store.ts'
import { checkIdentifier } from './identifier.ts'
import { MAX_SWEEP } from './limits.ts'
import { Sender, type MysqlConnection, type MysqlPool } from './mysql/sender.ts'
import { BATCH, DONE, schema, STALE, statements, type Statements } from './mysql/statements.ts'
import { bytes, fitting, recordValues, text, toRecord, type Row } from './mysql/values.ts'
import { present } from './text.ts'

export type { MysqlConnection, MysqlPool, MysqlQuery } from './mysql/sender.ts'

/** A promise pool or a promise connection of `mysql2`. */
export type MysqlClient = MysqlPool | MysqlConnection

/** Where the records are. */
export interface MysqlTable {
  /**
   * The table of the records, in the connection's database: a letter or underscore, then letters, digits and underscores,
   * 64 characters at most.
   *
   * @default 'sessions'
   */
  readonly table?: string | undefined
}

/** The options of a {@link MysqlStore}. */
export interface MysqlStoreOptions extends MysqlTable {
  /**
   * Makes the table on first use if it is missing. `false`: it exists already, made from {@link mysqlSchema}, and the store needs
   * only the rights to select, insert, update and delete.
   *
   * @default true
   */
  readonly createTable?: boolean | undefined
}

// The most rows in one portion, whatever the limit.
const MAX_PORTION = 500
// The most rounds of one sweep, including those of live records.
const MAX_BATCHES = 200
// How often a create tries that finds its key taken, and then free.
const TRIES = 20

/**
 * The statement that makes the table of a {@link MysqlStore}, for apps that manage their schema themselves and set
 * `createTable: false`. Running it again changes nothing.
 *
 * Text is kept as bytes of UTF-8: `SELECT CONVERT(owner USING utf8mb4)` shows it.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a name that is not a plain identifier.
 */
export function mysqlSchema(options: MysqlTable = {}): string {
  checkOptions(options, ['table'])
  return schema(tableName(options))
}

/**
 * Keeps sessions in MariaDB (10.6 or later) or MySQL (8), for any number of machines.
 *
 * `client` is a pool or a connection of `mysql2/promise` (or `pool.promise()`). The caller owns it, and the store never closes
 * it. A connection must belong to the store alone: inside a transaction of the app, each write fails with an error. A lost
 * connection fails from then on, while a pool connects again. A pool's connection that has not answered for 30 seconds is
 * given up.
 *
 * Each verb is one statement (two for a `create` whose key is taken), correct under every isolation level. A statement that the
 * server rolled back, because of a deadlock for example, is run again. Statements are prepared; if the server or a proxy
 * refuses that, they are sent whole from then on. All of them must reach the primary: a replica lags behind and shows an older
 * state of a session. Acknowledged writes survive a crash of the server with InnoDB's default
 * `innodb_flush_log_at_trx_commit = 1`.
 *
 * ```ts
 * import mysql from 'mysql2/promise'
 *
 * const pool = mysql.createPool(url)
 * app.use(session({ store: new MysqlStore(pool) }))
 * ```
 */
export class MysqlStore implements SessionStore {
  readonly #sender: Sender
  readonly #statements: Statements

  /** @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a wrong argument. */
  constructor(client: MysqlClient, options: MysqlStoreOptions = {}) {
    checkClient(client)
    checkOptions(options, ['table', 'createTable'])
    const { createTable = true } = options
    checkFlag(createTable, 'options.createTable')
    const table = tableName(options)
    this.#sender = new Sender(client, createTable ? schema(table) : undefined)
    this.#statements = statements(table)
  }

  async create(record: SessionRecord, now: number): Promise<boolean> {
    const [key, values] = [fitting('key', record.key), recordValues(record)]
    const inserted = { sql: this.#statements.create, values: [key, ...values, record.expiresAt] }
    const takenOver = { sql: this.#statements.takeOver, values: [...values, record.expiresAt, key, now] }
    for (let tries = 0; tries < TRIES; tries++) {
      try {
        await this.#sender.write(inserted)
        return true
      } catch (error) {
        if ((error as { errno?: unknown } | undefined)?.errno !== DUPLICATE) throw error
      }
      const { insertId } = await this.#sender.write(takenOver)
      if (insertId === DONE) return true
      if (insertId === STALE) return false
      // Another process removed the record between the two statements.
    }
    throw new Error('a record was made and removed again and again by others')
  }

  async read(key: string, now: number): Promise<SessionRecord | undefined> {
    const rows = await this.#sender.rows({ sql: this.#statements.read, values: [fitting('key', key), now] })
    // Here and below: the statement names the columns of the type that its rows are cast to.
    const [row] = rows as Row[]
    return row === undefined ? undefined : toRecord(row)
  }

  async replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    const values = [...recordValues(record), record.expiresAt, fitting('key', record.key), now, version]
    const { insertId } = await this.#sender.write({ sql: this.#statements.replace, values })
    return insertId === DONE ? 'done' : insertId === STALE ? 'stale' : 'gone'
  }

  async touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    const values = [lastSeenAt, expiresAt, lastSeenAt, expiresAt, lastSeenAt, fitting('key', key), now, version]
    const { insertId } = await this.#sender.write({ sql: this.#statements.touch, values })
    return insertId === DONE
  }

  async delete(key: string): Promise<boolean> {
    const { affectedRows } = await this.#sender.write({ sql: this.#statements.remove, values: [fitting('key', key)] })
    return affectedRows > 0
  }

  async list(owner: string, now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const [portion, after] = [portionOf(limit), place(cursor)]
    return this.#records(this.#statements.list(fitting('owner', owner), now, after, portion), now, portion)
  }

  async listKeys(owner: string, now: number, limit: number, cursor: string | undefined): Promise<KeyPage> {
    const [portion, after] = [portionOf(limit), place(cursor)]
    const sql = this.#statements.listKeys(fitting('owner', owner), now, after, portion)
    const rows = (await this.#sender.rows({ sql })) as Row[]
    const keys = rows.filter((row) => isLive(row, now)).flatMap((row) => unlessCorrupt(() => text(row.key)) ?? [])
    return { keys, cursor: cursorAfter(rows, portion) }
  }

  async scan(now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const [portion, after] = [portionOf(limit), place(cursor)]
    return this.#records(this.#statements.scan(now, after, portion), now, portion)
  }

  async deleteExpired(now: number, limit: number): Promise<number> {
    let total = 0
    const end = performance.now() + MAX_SWEEP
    for (let rounds = 0; total < limit && rounds < MAX_BATCHES && performance.now() < end; rounds++) {
      const rows = (await this.#sender.rows({ sql: this.#statements.due(now) })) as Row[]
      const inOrder = (some: readonly Row[]) => some.map((row) => bytes(row.key)).sort((a, b) => Buffer.compare(a, b))
      const live = inOrder(rows.filter((row) => isLive(row, now)))
      const expired = inOrder(rows.filter((row) => !isLive(row, now)))
      const removed = await this.#collect(expired.slice(0, limit - total), now)
      // Due records that still live would block later ones, so they are postponed to their expiry.
      const postponed = await this.#count((keys) => this.#statements.postpone(keys, now), live)
      total += removed
      if (removed + postponed === 0 || rows.length < BATCH) break
    }
    return total
  }

  async serverTime(): Promise<number> {
    const [row] = (await this.#sender.rows({ sql: CLOCK })) as { readonly now: unknown }[]
    return Number(row?.now)
  }

  async #records(sql: string, now: number, portion: number): Promise<RecordPage> {
    const rows = (await this.#sender.rows({ sql })) as Row[]
    const records = rows.filter((row) => isLive(row, now)).flatMap((row) => unlessCorrupt(() => toRecord(row)) ?? [])
    return { records, cursor: cursorAfter(rows, portion) }
  }

  async #collect(expired: readonly Buffer[], now: number): Promise<number> {
    try {
      return await this.#count((keys) => this.#statements.collect(keys, now), expired)
    } catch (error) {
      if ((error as { errno?: unknown } | undefined)?.errno !== SAFE_UPDATES) throw error
      return this.#count((keys) => this.#statements.collectSafely(keys, now), expired)
    }
  }

  async #count(statement: (keys: readonly Buffer[]) => string, keys: readonly Buffer[]): Promise<number> {
    if (keys.length === 0) return 0
    return (await this.#sender.write({ sql: statement(keys) })).affectedRows
  }
}

const DUPLICATE = 1062
// With sql_safe_updates, MariaDB refuses to delete by a list of keys from a table that has an alias.
const SAFE_UPDATES = 1175

// In UTC, because local time repeats an hour each autumn. The connection's time zone does not matter.
const CLOCK = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000 AS now"

function isLive(row: Row, now: number): boolean {
  return Number(present(row.expires_at)) > now
}

function portionOf(limit: number): number {
  return Math.min(Math.max(Math.trunc(limit), 1) || 1, MAX_PORTION)
}

/** A cursor is the key of the last row in hex, so that any value of that column can be one. */
function cursorAfter(rows: readonly Row[], portion: number): string | undefined {
  const last = rows.at(-1)
  return last === undefined || rows.length < portion ? undefined : bytes(last.key).toString('hex')
}

function place(cursor: string | undefined): Buffer {
  return Buffer.from(cursor ?? '', 'hex')
}

function checkClient(client: unknown): asserts client is MysqlClient {
  const rule = 'a promise pool or a promise connection of mysql2'
  const { execute, query, promise, batch, _cluster: cluster } = (client ?? {}) as Record<string, unknown>
  // A namespace of a PoolCluster that answers by callback has no `promise`.
  if (typeof promise === 'function' || cluster !== undefined)
    throw invalidMix(
      'the client answers by callback, and the store needs one that answers with promises: pass client.promise(), or make it with mysql2/promise',
    )
  if (typeof execute !== 'function' || typeof query !== 'function') throw invalidType('client', rule, client)
  if (typeof batch === 'function') throw invalidValue('client', `${rule}, and not of the package mariadb`, client)
}

function tableName({ table = 'sessions' }: MysqlTable): string {
  checkIdentifier('options.table', table, 64)
  return table
}
