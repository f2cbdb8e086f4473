/**
 * Sessions in a SQLite file, for the processes of one machine: {@link SqliteStore}.
 *
 * @module koa-fastsession/sqlite
 */

// Session records in a table of a SQLite file, for the processes of one machine. It uses a synchronous database and never lets
// SQLite wait: if another process holds the lock, the verb becomes a promise that tries again.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkFlag, checkOptions } from '../checks.ts'
import { storeFailure } from '../errors.ts'
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../store.ts'
import { MAX_SWEEP } from './limits.ts'
import { CheckpointKeeper } from './sqlite/checkpoints.ts'
import {
  assertAtOnce,
  changesIn,
  checkDatabase,
  fileOf,
  isLocked,
  isMissingTable,
  makeTable,
  openPath,
  prepared,
  worded,
  wrote,
  type OwnDatabase,
  type SqliteDatabase,
  type SqliteStatement,
  type Value,
} from './sqlite/database.ts'
import { noticeOtherLibraries } from './sqlite/libraries.ts'
import { Batch, liveKey, liveRecord, portion } from './sqlite/portion.ts'
import { toRecord, versionIn, type Row } from './sqlite/rows.ts'
import { checkTable, statementTexts, type StatementName } from './sqlite/statements.ts'
import { Turns } from './sqlite/turns.ts'
import { toText } from './text.ts'

export { sqliteSchema } from './sqlite/statements.ts'
export type { SqliteDatabase, SqliteStatement } from './sqlite/database.ts'

type Statements = Readonly<Record<StatementName, SqliteStatement<Value>>>
type Work<Result> = (statements: Statements) => Result

/** The options of a {@link SqliteStore}. */
export interface SqliteStoreOptions {
  /**
   * The table of the records: a letter or underscore, then letters, digits and underscores, 63 characters at most.
   *
   * @default 'sessions'
   */
  readonly table?: string | undefined
  /**
   * Makes the table and its indexes on first use, where they are missing. `false`: they exist already, made from
   * {@link sqliteSchema}.
   *
   * @default true
   */
  readonly createTable?: boolean | undefined
}

// The most rows that one statement reads or removes; it reads fewer if they are large.
const BATCH = 50
// The most rows if only the key is read.
const KEY_BATCH = 250
// The most batches of one sweep, including those of live rows: its time ends it before, unless the clock stands still.
const MAX_BATCHES = 10_000
// How often a replace tries again after the record changed under it.
const RETRIES = 20

/**
 * Keeps sessions in a SQLite file: they survive a restart, and several processes of one machine may share them.
 *
 * `database` is a database of `node:sqlite`, `better-sqlite3`, `libsql` or `bun:sqlite`, which the caller owns and the store
 * never closes; or a path (`':memory:'`, or an absolute `file:` URL), which is opened with `node:sqlite` and closed by
 * `close()`. Verbs answer synchronously, except for portions and sweeps, which give promises.
 *
 * On first use the store sets two pragmas on the connection: `journal_mode = WAL`, which is stored in the file, so that readers
 * and the writer do not wait for one another; and `busy_timeout = 0`, so that SQLite never blocks the process. A thread of the
 * store copies the write-ahead log into the file, if it can load the same library; for that the store also raises
 * `wal_autocheckpoint`, unless the app has set it. If another process holds the lock, the verb becomes a promise that tries
 * again for 1.8 seconds and then fails with SQLite's own error. The store changes no other setting. With SQLite's default
 * `synchronous = FULL` an acknowledged write survives a power cut; with `NORMAL` writing is faster, but a write is only certain
 * to survive a crash of the process.
 *
 * Give the store a connection of its own. On a shared connection, a transaction that the app holds open includes what the store
 * writes meanwhile, and a rollback undoes it.
 *
 * Within a process, open a file with only one SQLite library. The file's locks belong to the process: two libraries (an app's
 * own `better-sqlite3` beside the `node:sqlite` of `new SqliteStore(path)`) do not see each other's locks and overwrite each
 * other, so that acknowledged sessions are lost. On Linux the store warns when it happens.
 *
 * ```ts
 * app.use(session({ store: new SqliteStore('sessions.db') }))
 * ```
 */
export class SqliteStore implements SessionStore {
  readonly #database: SqliteDatabase
  readonly #table: string
  readonly #createTable: boolean
  #own: OwnDatabase | undefined
  #statements: Statements | undefined
  #file: string | undefined
  #checkpoints: CheckpointKeeper | undefined
  readonly #turns = new Turns()
  readonly #records = new Batch(BATCH)
  readonly #keys = new Batch(KEY_BATCH)
  /**
   * libsql does not reset a statement that found the database locked: later reads on that connection show an outdated state.
   * So with libsql a write first takes the lock by `exec`, which leaves no open statement.
   */
  readonly #isLibsql: boolean

  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a wrong argument, and for a path if this Node has
   * no `node:sqlite`. An error of `node:sqlite` when it cannot open the path is passed on as it is.
   */
  constructor(database: string | URL | SqliteDatabase, options: SqliteStoreOptions = {}) {
    checkOptions(options, ['table', 'createTable'])
    const { table = 'sessions', createTable = true } = options
    checkTable(table)
    checkFlag(createTable, 'options.createTable')
    this.#table = table
    this.#createTable = createTable
    if (typeof database === 'string' || database instanceof URL) {
      const opened = openPath(database)
      this.#own = opened
      this.#database = opened
    } else {
      checkDatabase(database)
      this.#database = database
    }
    this.#isLibsql = typeof this.#database.sync === 'function'
  }

  create(record: SessionRecord, now: number): boolean | Promise<boolean> {
    const { key, version, createdAt, lastSeenAt, expiresAt } = record
    const [owner, meta, payload] = [toText(record.owner), toText(record.meta), toValue(record.payload)]
    return this.#write(({ create }) =>
      wrote(create.run(key, version, owner, createdAt, lastSeenAt, expiresAt, meta, payload, expiresAt, now)),
    )
  }

  read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined> {
    return this.#read(({ read }) => {
      const row = read.get(key, now) as Row | null | undefined // the statement names the columns of a row
      return row === undefined || row === null ? undefined : toRecord(row)
    })
  }

  replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    const { key, createdAt, lastSeenAt, expiresAt } = record
    const [owner, meta, payload] = [toText(record.owner), toText(record.meta), toValue(record.payload)]
    const fields = [record.version, createdAt, lastSeenAt, expiresAt, meta, payload]
    return this.#write((statements) => {
      for (let tries = 0; tries <= RETRIES; tries++) {
        if (wrote(statements.replace.run(...fields, key, version, now, owner, expiresAt))) return 'done'
        if (wrote(statements.replaceAll.run(...fields, owner, expiresAt, key, version, now))) return 'done'
        const live = statements.version.get(key, now) as Row | null | undefined // as above
        if (live === undefined || live === null) return 'gone'
        if (versionIn(live) !== version) return 'stale'
        // Another process removed and created the record between the two statements: neither answer would be true.
      }
      throw storeFailure('a record changed under each of many replaces: nothing was written')
    })
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean | Promise<boolean> {
    const seen = [lastSeenAt, lastSeenAt, expiresAt]
    return this.#write(
      ({ touch, touchAll }) =>
        wrote(touch.run(...seen, key, version, now, expiresAt)) ||
        wrote(touchAll.run(...seen, lastSeenAt, expiresAt, key, version, now)),
    )
  }

  delete(key: string): boolean | Promise<boolean> {
    return this.#write(({ remove }) => wrote(remove.run(key)))
  }

  async list(owner: string, now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const look = (after: string, rows: number) => this.#read(({ list }) => list.all(now, toText(owner), after, rows))
    const { found, next } = await portion(limit, cursor, this.#records, look, liveRecord)
    return { records: found, cursor: next }
  }

  async listKeys(owner: string, now: number, limit: number, cursor: string | undefined): Promise<KeyPage> {
    const look = (after: string, rows: number) =>
      this.#read(({ listKeys }) => listKeys.all(now, toText(owner), after, rows))
    const { found, next } = await portion(limit, cursor, this.#keys, look, liveKey)
    return { keys: found, cursor: next }
  }

  async scan(now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const look = (after: string, rows: number) => this.#read(({ scan }) => scan.all(now, after, rows))
    const { found, next } = await portion(limit, cursor, this.#records, look, liveRecord)
    return { records: found, cursor: next }
  }

  async deleteExpired(now: number, limit: number): Promise<number> {
    let removed = 0
    const end = performance.now() + MAX_SWEEP
    for (let batch = 0; removed < limit && batch < MAX_BATCHES && performance.now() < end; batch++) {
      const most = Math.min(BATCH, limit - removed)
      const collected = await this.#write(({ collect }) => changesIn(collect.run(now, most, now)))
      removed += collected
      await nextTurn()
      // Due records that still live would block later ones, so they are postponed to their expiry.
      const postponed = await this.#write(({ postpone }) => changesIn(postpone.run(now, BATCH, now)))
      if (collected + postponed === 0) break
      await nextTurn()
    }
    // It looks at every open file: once in a sweep of many portions, not in each.
    if (removed < limit && this.#file !== undefined) noticeOtherLibraries(this.#file)
    return removed
  }

  /** Closes the database only if the store opened it from a path. Verbs called after that fail. */
  close(): void {
    this.#checkpoints?.close()
    this.#own?.close()
    // A verb prepares its statements again, and node:sqlite says then that the database is not open.
    if (this.#own !== undefined) this.#statements = undefined
    this.#own = undefined
  }

  /** Writes at once, or later if another process holds the lock. A statement that met a lock has written nothing. */
  #write<Result>(work: Work<Result>): Result | Promise<Result> {
    // Later writes queue up: only one write of a process at a time asks for the lock.
    if (!this.#turns.isEmpty) return this.#turns.later(() => this.#lockedFor(work))
    try {
      return this.#lockedFor(work)
    } catch (error) {
      if (!isLocked(error)) throw error
      return this.#turns.later(() => this.#lockedFor(work))
    }
  }

  /** Reads at once. A first use makes the table, so if it meets a lock, it waits as a write does. */
  #read<Result>(work: Work<Result>): Result | Promise<Result> {
    try {
      return this.#withTable(work)
    } catch (error) {
      if (!isLocked(error)) throw error
      return this.#turns.later(() => this.#lockedFor(work))
    }
  }

  #lockedFor<Result>(work: Work<Result>): Result {
    return this.#withTable((statements) => {
      this.#checkpoints?.beforeWrite()
      if (!this.#isLibsql || this.#database.inTransaction === true) return work(statements)
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        const done = work(statements)
        this.#database.exec('COMMIT')
        return done
      } catch (error) {
        // After some failures SQLite has rolled back by itself.
        if (this.#database.inTransaction !== false) this.#database.exec('ROLLBACK')
        throw error
      }
    })
  }

  /** Does the work; repeats it once if the table was dropped meanwhile and the store may make it. */
  #withTable<Result>(work: Work<Result>, mayMake = this.#createTable): Result {
    try {
      return work((this.#statements ??= this.#prepare()))
    } catch (error) {
      if (!mayMake || this.#statements === undefined || !isMissingTable(error, this.#table)) throw worded(error)
      this.#statements = undefined
      return this.#withTable(work, false)
    }
  }

  #prepare(): Statements {
    assertAtOnce(this.#database.exec('PRAGMA busy_timeout = 0'))
    this.#database.exec('PRAGMA journal_mode = WAL')
    if (this.#createTable) makeTable(this.#database, this.#table)
    const statements = Object.entries(statementTexts(this.#table, this.#isLibsql)).map(
      ([name, text]) => [name, prepared(this.#database, text)] as const,
    )
    this.#file = fileOf(this.#database)
    if (this.#file !== undefined) {
      noticeOtherLibraries(this.#file)
      this.#checkpoints ??= new CheckpointKeeper(this.#database, this.#file)
    }
    // The names are the same, so the shape is Statements.
    return Object.fromEntries(statements) as Statements
  }
}

function toValue(payload: string | Uint8Array): Value {
  return typeof payload === 'string' ? toText(payload) : payload
}
