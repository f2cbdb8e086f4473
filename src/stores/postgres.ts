/**
 * Sessions in PostgreSQL, for any number of machines: {@link PostgresStore}.
 *
 * @module koa-fastsession/postgres
 */

// Session records in a PostgreSQL table, one statement for each verb and no transaction. It speaks SQL through the
// caller's `pg` Pool or Client and knows nothing of connections. Instants are numbers in the table as they are in a
// record, so no time zone of a server or a session can move them.
import { createHash } from 'node:crypto'
import { invalidType, invalidValue } from '../errors.ts'
import type { Replaced, SessionRecord, SessionStore } from '../store.ts'
import { fromText, toText } from './text.ts'

/** The part that is used of what a `pg` Pool or Client answers. */
export interface PostgresResult {
  readonly rows: unknown[]
  readonly rowCount: number | null
}

/** The part that is used of a `pg` Pool or Client. */
export interface PostgresClient {
  query(query: { name?: string; text: string; values?: unknown[] }): Promise<PostgresResult>
}

/** Where the records are. */
export interface PostgresTable {
  /**
   * The table of the records: a letter or underscore, then letters, digits and underscores, 56 characters at most.
   *
   * @default 'sessions'
   */
  readonly table?: string
  /** The schema of that table, which must exist. Left out, the connection's `search_path` decides. */
  readonly schema?: string
}

/** What a {@link PostgresStore} may be told. */
export interface PostgresStoreOptions extends PostgresTable {
  /**
   * Makes the table and its indexes on first use, where the table is missing. `false`: it is there already, made from
   * {@link postgresSchema}, and the store needs no right but to read and write it.
   *
   * @default true
   */
  readonly createTable?: boolean
}

// pg gives a bigint as text, unless the app has told it otherwise.
interface Row {
  readonly key: string
  readonly version: string | number | bigint
  readonly owner: string | null
  readonly created_at: string | number | bigint
  readonly last_seen_at: string | number | bigint
  readonly expires_at: string | number | bigint
  readonly meta: string | null
  readonly payload: string | null
  readonly payload_bytes: Uint8Array | null
}

type Send = PostgresClient['query']

interface Statement {
  readonly text: string
  /** Under a name the server parses and plans a statement once for each connection. */
  readonly name?: string
}

// Records that the sweep looks at in one statement, so that it holds few locks, and those briefly.
const BATCH = 500
// How often a statement that the server undid for another's sake is run again; needed only above READ COMMITTED.
const RETRIES = 20
// Processes that start together make the table one after another: IF NOT EXISTS alone fails when two do it at once.
// Any number will do, as long as it is this one.
const MAKING_LOCK = 7_021_975_630

/**
 * The statements that make the table of a {@link PostgresStore} and its indexes, for those who keep their schema themselves
 * and set `createTable: false`. Running them again changes nothing.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a name that is not a plain identifier.
 */
export function postgresSchema(options: PostgresTable = {}): string {
  const { table = 'sessions' } = options
  const target = tableName(options)
  // Columns of fixed width come first, which saves their padding. The collation C compares bytes: keys and owners need
  // no language's order, and an index in one breaks when the system's locales are upgraded. A row keeps some room beside
  // it, so that its next state can lie on the same page and no index entry has to be written for it.
  return `
    CREATE TABLE IF NOT EXISTS ${target} (
      version bigint NOT NULL,
      created_at bigint NOT NULL,
      last_seen_at bigint NOT NULL,
      expires_at bigint NOT NULL,
      sweep_at bigint NOT NULL,
      key text COLLATE "C" PRIMARY KEY,
      owner text COLLATE "C",
      meta text,
      payload text,
      payload_bytes bytea
    ) WITH (fillfactor = 85);
    CREATE INDEX IF NOT EXISTS "${table}_owner" ON ${target} (owner) WHERE owner IS NOT NULL;
    CREATE INDEX IF NOT EXISTS "${table}_sweep" ON ${target} (sweep_at);
  `
}

// `sweep_at` is an instant no later than `expires_at`, and only it is indexed. A touch leaves it behind, and so stays a
// heap-only update; when it passes, the sweep removes the record or moves `sweep_at` on to where `expires_at` has got to.
function statements(target: string) {
  return {
    // (key, now)
    read: named(`
      SELECT key, version, owner, created_at, last_seen_at, expires_at, meta, payload, payload_bytes
      FROM ${target} WHERE key = $1 AND expires_at > $2`),

    // (key, version, owner, createdAt, lastSeenAt, expiresAt, meta, payload, payload as bytes, now)
    create: named(`
      INSERT INTO ${target} AS held
        (key, version, owner, created_at, last_seen_at, expires_at, sweep_at, meta, payload, payload_bytes)
      VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9)
      ON CONFLICT (key) DO UPDATE SET
        version = excluded.version, owner = excluded.owner, created_at = excluded.created_at,
        last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at, sweep_at = excluded.sweep_at,
        meta = excluded.meta, payload = excluded.payload, payload_bytes = excluded.payload_bytes
      WHERE held.expires_at <= $10`),

    // The same and an eleventh, the version to be replaced -> whether it was, and the live version before this statement
    replace: named(`
      WITH replaced AS (
        UPDATE ${target} SET
          version = $2, owner = $3, created_at = $4, last_seen_at = $5, expires_at = $6,
          sweep_at = least(sweep_at, $6), meta = $7, payload = $8, payload_bytes = $9
        WHERE key = $1 AND version = $11 AND expires_at > $10
        RETURNING key
      )
      SELECT EXISTS (SELECT FROM replaced) AS done,
        (SELECT version FROM ${target} WHERE key = $1 AND expires_at > $10) AS version`),

    // (key, version, lastSeenAt, expiresAt, now)
    touch: named(`
      UPDATE ${target} SET
        last_seen_at = greatest(last_seen_at, $3),
        expires_at = CASE WHEN $3 >= last_seen_at THEN $4 ELSE expires_at END,
        sweep_at = CASE WHEN $3 >= last_seen_at THEN least(sweep_at, $4) ELSE sweep_at END
      WHERE key = $1 AND version = $2 AND expires_at > $5`),

    // (key)
    remove: named(`DELETE FROM ${target} WHERE key = $1`),

    // (owner, now)
    list: named(`
      SELECT key, version, owner, created_at, last_seen_at, expires_at, meta, payload, payload_bytes
      FROM ${target} WHERE owner = $1 AND expires_at > $2`),

    // (now, how many to look at, how many to remove at most) -> how many were removed, how many put off
    // SKIP LOCKED: of several processes that sweep at once none waits for another, nor for a request. Without a name, for
    // a plan that is made without knowing the numbers may read the whole table.
    sweep: {
      text: `
      WITH due AS (
        SELECT key, expires_at <= $1 AS expired FROM ${target}
        WHERE sweep_at <= $1 ORDER BY sweep_at LIMIT $2 FOR UPDATE SKIP LOCKED
      ), removed AS (
        DELETE FROM ${target} AS held USING (SELECT key FROM due WHERE expired LIMIT $3) AS dead
        WHERE held.key = dead.key RETURNING held.key
      ), postponed AS (
        UPDATE ${target} AS held SET sweep_at = held.expires_at FROM due
        WHERE held.key = due.key AND NOT due.expired RETURNING held.key
      )
      SELECT (SELECT count(*) FROM removed) AS removed, (SELECT count(*) FROM postponed) AS postponed`,
    },
  } satisfies Record<string, Statement>
}

/**
 * Keeps sessions in PostgreSQL, for any number of machines.
 *
 * `client` is a Pool or a Client of `pg`; it stays the caller's and is never closed here. A Client must belong to the
 * store alone: statements that the app runs inside a transaction of its own would take the store's into it, and a Client
 * that has lost its connection fails from then on, while a Pool connects again. A Pool needs a listener for its `'error'`
 * event, or a lost idle connection ends the process: `pool.on('error', ...)`.
 *
 * Each verb is one statement, right under every isolation level, and prepared under a name. A pooler that does not keep
 * prepared statements (PgBouncer in transaction mode before 1.21, or with `max_prepared_statements = 0`) is noticed by
 * its first refusal, after which the store sends statements without names.
 *
 * ```ts
 * const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
 * pool.on('error', console.error)
 * app.use(session({ store: new PostgresStore(pool) }))
 * ```
 */
export class PostgresStore implements SessionStore {
  readonly #send: Send
  readonly #schema: string
  readonly #createTable: boolean
  readonly #statements: ReturnType<typeof statements>
  #making: Promise<unknown> | undefined
  #keepsNames = true

  /** @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a wrong argument. */
  constructor(client: PostgresClient, options: PostgresStoreOptions = {}) {
    const { createTable = true } = options
    if (typeof (client as Partial<PostgresClient> | undefined)?.query !== 'function') {
      throw invalidType('client', 'a Pool or a Client of pg', client)
    }
    if (typeof createTable !== 'boolean') throw invalidType('options.createTable', 'true or false', createTable)
    this.#send = isClient(client) ? inTurn(client) : (query) => client.query(query)
    this.#createTable = createTable
    this.#schema = postgresSchema(options)
    this.#statements = statements(tableName(options))
  }

  async create(record: SessionRecord, now: number): Promise<boolean> {
    return wrote(await this.#run(this.#statements.create, [...toValues(record), now]))
  }

  async read(key: string, now: number): Promise<SessionRecord | undefined> {
    const { rows } = await this.#run(this.#statements.read, [key, now])
    // Here and below: the statement names the columns of what its rows are taken for.
    const [row] = rows as Row[]
    return row === undefined ? undefined : toRecord(row)
  }

  async replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    const values = [...toValues(record), now, version]
    for (;;) {
      const { rows } = await this.#run(this.#statements.replace, values)
      const [answer] = rows as { done: boolean; version: Row['version'] | null }[]
      if (answer?.done === true) return 'done'
      if (answer?.version == null) return 'gone'
      if (Number(answer.version) !== version) return 'stale'
      // It had this version when the statement began, and was changed or removed while the statement waited for the row.
    }
  }

  async touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    return wrote(await this.#run(this.#statements.touch, [key, version, lastSeenAt, expiresAt, now]))
  }

  async delete(key: string): Promise<boolean> {
    return wrote(await this.#run(this.#statements.remove, [key]))
  }

  async list(owner: string, now: number): Promise<SessionRecord[]> {
    const { rows } = await this.#run(this.#statements.list, [toText(owner), now])
    return (rows as Row[]).map(toRecord)
  }

  async deleteExpired(now: number, limit: number): Promise<number> {
    let total = 0
    while (total < limit) {
      const { rows } = await this.#run(this.#statements.sweep, [now, BATCH, limit - total])
      const [counts] = rows as { removed: string | number | bigint; postponed: string | number | bigint }[]
      const removed = Number(counts?.removed)
      total += removed
      if (removed + Number(counts?.postponed) === 0) break
    }
    return total
  }

  /** Runs a statement, again where the server's answer means that nothing of it was done and that it may yet be. */
  async #run({ name, text }: Statement, values: unknown[]): Promise<PostgresResult> {
    for (let tries = 0; ; tries++) {
      const withName = name !== undefined && this.#keepsNames
      try {
        return await this.#send(withName ? { name, text, values } : { text, values })
      } catch (error) {
        const state = sqlState(error)
        if (tries === RETRIES) throw discreet(error)
        if (state === UNDEFINED_TABLE && tries === 0 && this.#createTable) await this.#makeTable()
        else if (withName && (state === UNKNOWN_STATEMENT || state === DUPLICATE_STATEMENT)) this.#keepsNames = false
        else if (state !== SERIALIZATION_FAILURE) throw discreet(error)
      }
    }
  }

  /** Several statements sent as one text are one transaction, which the lock lasts for. A failure is not remembered. */
  #makeTable(): Promise<unknown> {
    const text = `SELECT pg_advisory_xact_lock(${MAKING_LOCK}); ${this.#schema}`
    this.#making ??= this.#send({ text }).finally(() => {
      this.#making = undefined
    })
    return this.#making
  }
}

/** A Client, unlike a Pool, has these methods. */
function isClient(client: PostgresClient): boolean {
  return 'escapeIdentifier' in client && 'escapeLiteral' in client
}

/** pg 9 will no longer take a statement while a Client still runs another one, and pg 8 warns of it. */
function inTurn(client: PostgresClient): Send {
  let last: Promise<unknown> = Promise.resolve()
  return (query) => {
    const turn = last.then(() => client.query(query))
    last = turn.catch(() => undefined) // its own caller is told
    return turn
  }
}

const UNDEFINED_TABLE = '42P01'
const UNKNOWN_STATEMENT = '26000'
const DUPLICATE_STATEMENT = '42P05'
const SERIALIZATION_FAILURE = '40001'

function sqlState(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** PostgreSQL quotes the whole row in the detail of some errors: a cause that is logged must not show data. */
function discreet(error: unknown): unknown {
  return error instanceof Error ? Object.assign(error, { detail: undefined, where: undefined }) : error
}

/** Behind a pooler, connections meet the names of other processes: one name must never stand for two texts. */
function named(text: string): Statement {
  return { text, name: `koa-fastsession-${createHash('sha256').update(text).digest('hex').slice(0, 32)}` }
}

/** The table, ready to stand in a statement. */
function tableName({ table = 'sessions', schema }: PostgresTable): string {
  // PostgreSQL cuts names after 63 bytes: with a longer one, the indexes would come to be called like their table.
  const quoted = quote('options.table', table, 56)
  return schema === undefined ? quoted : `${quote('options.schema', schema, 63)}.${quoted}`
}

function quote(option: string, name: unknown, longest: number): string {
  if (typeof name !== 'string') throw invalidType(option, 'a string', name)
  if (!/^[A-Z_][A-Z0-9_]*$/i.test(name) || name.length > longest) {
    throw invalidValue(option, `a plain identifier of at most ${longest} characters`, name)
  }
  return `"${name}"`
}

function wrote(result: PostgresResult): boolean {
  return (result.rowCount ?? 0) > 0
}

function toValues({ key, version, owner, createdAt, lastSeenAt, expiresAt, meta, payload }: SessionRecord): unknown[] {
  const content = typeof payload === 'string' ? [toText(payload), null] : [null, payload]
  return [key, version, toText(owner), createdAt, lastSeenAt, expiresAt, toText(meta), ...content]
}

function toRecord(row: Row): SessionRecord {
  return {
    key: row.key,
    version: Number(row.version),
    // A Buffer of pg's may be a window on memory that it shares: the record gets bytes of its own.
    payload: row.payload === null ? new Uint8Array(row.payload_bytes ?? []) : fromText(row.payload),
    owner: row.owner === null ? undefined : fromText(row.owner),
    createdAt: Number(row.created_at),
    lastSeenAt: Number(row.last_seen_at),
    expiresAt: Number(row.expires_at),
    meta: row.meta === null ? undefined : fromText(row.meta),
  }
}
