/**
 * Sessions in a SQLite file, for the processes of one machine: {@link SqliteStore}.
 *
 * @module koa-fastsession/sqlite
 */

// Session records in a table of a SQLite file, for the processes of one machine. It speaks SQL to a synchronous
// database (node:sqlite, better-sqlite3, libsql, told by shape) and never lets SQLite wait: a lock that another process
// holds turns the verb into a promise that asks again.
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { invalidMix, invalidType, invalidValue } from '../errors.ts'
import type { Replaced, SessionRecord, SessionStore } from '../store.ts'
import { fromText, toPayload, toText, toVersion } from './text.ts'

type Value = string | number | null | Uint8Array

/** The part that is used of a prepared statement, as node:sqlite, better-sqlite3 and libsql have it. */
export interface SqliteStatement {
  run(...values: Value[]): { readonly changes: number | bigint }
  get(...values: Value[]): unknown
  all(...values: Value[]): unknown[]
  /** Of newer versions of node:sqlite, where a database may be told to give rows as arrays. */
  setReturnArrays?(enabled: boolean): void
}

/** The part that is used of a database, as node:sqlite, better-sqlite3 and libsql have it. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  readonly inTransaction?: boolean
  /** Of the three libsql alone has it. */
  sync?(): unknown
}

type Work<Result> = (statements: Statements) => Result

/** A write that waits for another process's lock. */
interface Waiting {
  readonly attempt: () => void
  readonly reject: (error: unknown) => void
  readonly end: number
}

/** What a {@link SqliteStore} may be told. */
export interface SqliteStoreOptions {
  /**
   * The table of the records: a letter or underscore, then letters, digits and underscores, 63 characters at most.
   *
   * @default 'sessions'
   */
  readonly table?: string
  /**
   * Makes the table and its indexes on first use, where they are missing. `false`: they are there already, made from
   * {@link sqliteSchema}.
   *
   * @default true
   */
  readonly createTable?: boolean
}

// A bigint where the caller's database was told to read whole numbers so.
type Whole = number | bigint

interface Row {
  readonly key: string
  readonly version: Whole
  // node:sqlite gives a Uint8Array, better-sqlite3 a Buffer, libsql an ArrayBuffer.
  readonly payload: string | Uint8Array | ArrayBuffer
  readonly owner: string | null
  readonly meta: string | null
  readonly created_at: Whole
  readonly last_seen_at: Whole
  readonly expires_at: Whole
  readonly place: Whole
}

type Statements = Readonly<Record<keyof ReturnType<typeof statementTexts>, SqliteStatement>>

// The middleware gives up on a store after two seconds by default. Giving up a little earlier lets it report SQLite's own
// words instead of a silence, and leaves no write behind that nobody waits for.
const PATIENCE = 1800
const LONGEST_PAUSE = 20

// How long waiting writes may keep the process, in milliseconds.
const LONGEST_TURN = 10
// Rows read or removed in one statement. Of the largest payloads (64 kB) fifty take some ten milliseconds.
const BATCH = 50

/**
 * The statements that make the table of a {@link SqliteStore} and its indexes, for those who keep their schema themselves
 * and set `createTable: false`. Running them again changes nothing.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a table name that is not a plain identifier.
 */
export function sqliteSchema(table = 'sessions'): string {
  checkTable('table', table)
  // With WITHOUT ROWID a payload of 1 kB would take three times its size: rows that are not small fill an index badly.
  // Columns up to the payload are found on a row's first page, however large the payload.
  return `
    CREATE TABLE IF NOT EXISTS "${table}" (
      key TEXT NOT NULL PRIMARY KEY,
      version INTEGER NOT NULL,
      owner TEXT,
      created_at INTEGER NOT NULL,
      last_seen_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      sweep_at INTEGER NOT NULL,
      meta TEXT,
      payload NOT NULL
    );
    CREATE INDEX IF NOT EXISTS "${table}_owner" ON "${table}" (owner) WHERE owner IS NOT NULL;
    CREATE INDEX IF NOT EXISTS "${table}_sweep" ON "${table}" (sweep_at);
  `
}

// `sweep_at` is an instant no later than `expires_at`, and only it is indexed. A touch leaves it behind, and so writes no
// index; when it passes, the sweep removes the record or moves `sweep_at` on to where `expires_at` has got to.
//
// SQLite rewrites the index of each column that SET names, changed or not: twice the pages for a replace or a touch. So
// both come in a short form that names no indexed column and misses when one has to change, and a full one.
function statementTexts(table: string) {
  const due = `rowid IN (SELECT rowid FROM "${table}" WHERE sweep_at <= ? ORDER BY sweep_at LIMIT ?)`
  const version = 'key = ? AND version = ? AND expires_at > ?'
  const fields = 'version = ?, created_at = ?, last_seen_at = ?, expires_at = ?, meta = ?, payload = ?'
  const seen =
    'last_seen_at = max(last_seen_at, ?), expires_at = CASE WHEN ? >= last_seen_at THEN ? ELSE expires_at END'
  const columns = 'key, version, owner, created_at, last_seen_at, expires_at, meta, payload'
  return {
    read: `SELECT ${columns} FROM "${table}" WHERE key = ? AND expires_at > ?`,
    version: `SELECT version FROM "${table}" WHERE key = ? AND expires_at > ?`,
    create: `
      INSERT INTO "${table}" (${columns}, sweep_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET
        version = excluded.version, owner = excluded.owner, created_at = excluded.created_at,
        last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at, meta = excluded.meta,
        payload = excluded.payload, sweep_at = excluded.sweep_at
      WHERE expires_at <= ?`,
    replace: `UPDATE "${table}" SET ${fields} WHERE ${version} AND owner IS ? AND sweep_at <= ?`,
    replaceAll: `UPDATE "${table}" SET ${fields}, owner = ?, sweep_at = min(sweep_at, ?) WHERE ${version}`,
    touch: `UPDATE "${table}" SET ${seen} WHERE ${version} AND sweep_at <= ?`,
    touchAll: `
      UPDATE "${table}" SET ${seen}, sweep_at = CASE WHEN ? >= last_seen_at THEN min(sweep_at, ?) ELSE sweep_at END
      WHERE ${version}`,
    remove: `DELETE FROM "${table}" WHERE key = ?`,
    list: `
      SELECT rowid AS place, ${columns} FROM "${table}"
      WHERE owner = ? AND expires_at > ? AND rowid > ? ORDER BY rowid LIMIT ?`,
    collect: `DELETE FROM "${table}" WHERE ${due} AND expires_at <= ?`,
    postpone: `UPDATE "${table}" SET sweep_at = expires_at WHERE ${due} AND expires_at > ?`,
  }
}

/**
 * Keeps sessions in a SQLite file: they survive a restart, and several processes of one machine may share them.
 *
 * `database` is a database of `node:sqlite`, `better-sqlite3` or `libsql`, which stays the caller's and is never closed
 * here; or a path (or `':memory:'`), which is opened with `node:sqlite` and closed by `close()`. Verbs answer at once.
 *
 * On first use the store sets two things on the connection: `journal_mode = WAL`, which stays with the file, so that
 * readers and the writer do not wait for one another; and `busy_timeout = 0`, so that SQLite never stops the process.
 * Where another process holds the lock, the verb becomes a promise that tries again for 1.8 seconds and then fails with
 * SQLite's own error. All else is left alone: with SQLite's default `synchronous = FULL` an acknowledged write survives a
 * power cut, with `NORMAL` writing is faster and only a crash of the process is survived for certain.
 *
 * Give the store a connection of its own. On one that it shares, a transaction which the app holds open also holds what
 * the store writes meanwhile, and a rollback undoes it.
 *
 * ```ts
 * app.use(session({ store: new SqliteStore('sessions.db') }))
 * ```
 */
export class SqliteStore implements SessionStore {
  readonly #database: SqliteDatabase
  readonly #table: string
  readonly #createTable: boolean
  #own: { close(): void } | undefined
  #statements: Statements | undefined
  readonly #waiting: Waiting[] = []
  /**
   * libsql does not reset a statement that found the database locked: what is read after that on the same connection is
   * a view of the past. There the lock is taken first, by `exec`, which leaves nothing behind.
   */
  readonly #hasStuckStatements: boolean

  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a wrong argument, and for a path where this
   * Node has no `node:sqlite`. What `node:sqlite` throws when it cannot open the path comes through as it is.
   */
  constructor(database: string | SqliteDatabase, options: SqliteStoreOptions = {}) {
    const { table = 'sessions', createTable = true } = options
    checkTable('options.table', table)
    if (typeof createTable !== 'boolean') throw invalidType('options.createTable', 'true or false', createTable)
    this.#table = table
    this.#createTable = createTable
    if (typeof database === 'string') {
      const opened = open(database)
      this.#own = opened
      this.#database = opened
    } else {
      checkDatabase(database)
      this.#database = database
    }
    this.#hasStuckStatements = typeof this.#database.sync === 'function'
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
      // The statement names the columns of a Row.
      const row = read.get(key, now) as Row | undefined
      return row === undefined ? undefined : toRecord(row)
    })
  }

  replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    const { key, createdAt, lastSeenAt, expiresAt } = record
    const [owner, meta, payload] = [toText(record.owner), toText(record.meta), toValue(record.payload)]
    const fields = [record.version, createdAt, lastSeenAt, expiresAt, meta, payload]
    return this.#write((statements) => {
      for (;;) {
        if (wrote(statements.replace.run(...fields, key, version, now, owner, expiresAt))) return 'done'
        if (wrote(statements.replaceAll.run(...fields, owner, expiresAt, key, version, now))) return 'done'
        const live = statements.version.get(key, now) as Pick<Row, 'version'> | undefined
        if (live === undefined) return 'gone'
        if (toVersion(live.version) !== version) return 'stale'
        // Another process removed the record and made it anew between the two statements: neither answer would be true.
      }
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

  async list(owner: string, now: number): Promise<SessionRecord[]> {
    const records: SessionRecord[] = []
    for (let place = 0; ;) {
      const rows = await this.#read(({ list }) => list.all(toText(owner), now, place, BATCH) as Row[])
      records.push(...rows.map(toRecord))
      const last = rows.at(-1)
      if (last === undefined || rows.length < BATCH) return records
      place = Number(last.place)
      await nextTurn()
    }
  }

  async deleteExpired(now: number, limit: number): Promise<number> {
    let removed = 0
    while (removed < limit) {
      const batch = Math.min(BATCH, limit - removed)
      const collected = await this.#write(({ collect }) => Number(collect.run(now, batch, now).changes))
      removed += collected
      // Live records that came due stand in the way of later ones; moved on, they come due again when they may have ended.
      const postponed = await this.#write(({ postpone }) => Number(postpone.run(now, BATCH, now).changes))
      if (collected + postponed === 0) break
      await nextTurn()
    }
    return removed
  }

  /** Closes a database that the store opened from a path, and no other. Verbs called later fail. */
  close(): void {
    this.#own?.close()
    this.#own = undefined
  }

  /** Writes at once; where another process holds the lock, later. A statement that found it locked has written nothing. */
  #write<Result>(work: Work<Result>): Result | Promise<Result> {
    // Who comes later waits behind: of each process one write at a time asks for the lock.
    if (this.#waiting.length > 0) return this.#later(work)
    try {
      return this.#lockedFor(work)
    } catch (error) {
      if (!isLocked(error)) throw error
      return this.#later(work)
    }
  }

  /** Reads at once; a first use that meets the lock, since it makes the table, waits for it as a write does. */
  #read<Result>(work: Work<Result>): Result | Promise<Result> {
    try {
      return work((this.#statements ??= this.#prepare()))
    } catch (error) {
      if (!isLocked(error)) throw error
      return this.#later(work)
    }
  }

  #lockedFor<Result>(work: Work<Result>): Result {
    const statements = (this.#statements ??= this.#prepare())
    if (!this.#hasStuckStatements || this.#database.inTransaction === true) return work(statements)
    this.#database.exec('BEGIN IMMEDIATE')
    let result: Result
    try {
      result = work(statements)
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
    this.#database.exec('COMMIT')
    return result
  }

  #later<Result>(work: Work<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ attempt: () => resolve(this.#lockedFor(work)), reject, end: performance.now() + PATIENCE })
      if (this.#waiting.length === 1) void this.#writeLater()
    })
  }

  async #writeLater(): Promise<void> {
    for (let longest = 2; this.#waiting.length > 0; longest = Math.min(longest * 2, LONGEST_PAUSE)) {
      await pause(1 + Math.random() * longest)
      if (this.#writeSome(performance.now() + LONGEST_TURN)) longest = 1
    }
  }

  /** Writes in the order of their coming, until the lock is held elsewhere or other work must have its turn. */
  #writeSome(end: number): boolean {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      try {
        first.attempt()
      } catch (error) {
        if (isLocked(error) && performance.now() < first.end) return false
        first.reject(error)
      }
      this.#waiting.shift()
      if (performance.now() > end) return true
    }
    return true
  }

  #prepare(): Statements {
    this.#database.exec('PRAGMA busy_timeout = 0')
    this.#database.exec('PRAGMA journal_mode = WAL')
    if (this.#createTable) this.#database.exec(sqliteSchema(this.#table))
    const statements = Object.entries(statementTexts(this.#table)).map(([name, text]) => {
      const statement = this.#database.prepare(text)
      statement.setReturnArrays?.(false)
      return [name, statement] as const
    })
    // The same names, so the same shape.
    return Object.fromEntries(statements) as Statements
  }
}

function checkTable(name: string, table: unknown): void {
  if (typeof table !== 'string') throw invalidType(name, 'a string', table)
  if (!/^(?!sqlite_)[A-Z_][A-Z0-9_]{0,62}$/i.test(table)) {
    throw invalidValue(name, 'a plain identifier of at most 63 characters that does not start with sqlite_', table)
  }
}

function checkDatabase(database: unknown): asserts database is SqliteDatabase {
  const { exec, prepare } = (database ?? {}) as Partial<SqliteDatabase>
  if (typeof exec !== 'function' || typeof prepare !== 'function') {
    throw invalidType('database', 'a path, or a database of node:sqlite, better-sqlite3 or libsql', database)
  }
}

function open(path: string): SqliteDatabase & { close(): void } {
  if (path === '') throw invalidValue('database', "a path or ':memory:'", path)
  // The types of the oldest supported Node do not know this module, nor does that Node have it.
  const sqlite = process.getBuiltinModule('node:sqlite' as 'node:fs') as unknown as
    { DatabaseSync: new (path: string) => SqliteDatabase & { close(): void } } | undefined
  if (sqlite === undefined) {
    throw invalidMix(
      'new SqliteStore(path) needs node:sqlite, which this Node does not have: ' +
        'run Node 22.13 or newer, or install better-sqlite3 or libsql and pass a database of it',
    )
  }
  return new sqlite.DatabaseSync(path)
}

function wrote(result: { readonly changes: number | bigint }): boolean {
  return Number(result.changes) > 0
}

// better-sqlite3 and libsql name the result code, node:sqlite gives its number, whose low byte is the primary one:
// 5 for SQLITE_BUSY (another connection), 6 for SQLITE_LOCKED (another statement on a shared cache).
function isLocked(error: unknown): boolean {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }
  if (typeof errcode === 'number') return (errcode & 0xff) === 5 || (errcode & 0xff) === 6
  return typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code)
}

function toRecord(row: Row): SessionRecord {
  return {
    key: row.key,
    version: toVersion(row.version),
    payload: toPayload(row.payload),
    owner: row.owner === null ? undefined : fromText(row.owner),
    createdAt: Number(row.created_at),
    lastSeenAt: Number(row.last_seen_at),
    expiresAt: Number(row.expires_at),
    meta: row.meta === null ? undefined : fromText(row.meta),
  }
}

function toValue(payload: string | Uint8Array): string | Uint8Array {
  return typeof payload === 'string' ? toText(payload) : payload
}
