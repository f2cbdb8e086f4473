// Sends statements through the caller's mysql2 client, and makes the answers alike for all options and servers.
import { setTimeout as pause } from 'node:timers/promises'
import { storeFailure, type SessionError } from '../../errors.ts'
import { MAX_SILENCE } from '../limits.ts'
import { withLiterals, type Value } from './values.ts'
import { unrefed } from '../../timers.ts'

/** A query for mysql2. Its options override those of the caller's client, which may differ. */
export interface MysqlQuery {
  sql: string
  values: (Buffer | number | null)[]
  typeCast: true | ((field: unknown, next: () => unknown) => unknown)
  nestTables: boolean
  rowsAsArray: boolean
  namedPlaceholders: boolean
  supportBigNumbers: boolean
  bigNumberStrings: boolean
}

/** The part of a mysql2 promise connection that is used. */
export interface MysqlConnection {
  /** The options of the caller's connection. */
  readonly config?: {
    /** The caller's own conversion of a column's value. */
    readonly typeCast?: unknown
  }
  execute(query: MysqlQuery): Promise<[unknown, unknown]>
  query(query: MysqlQuery): Promise<[unknown, unknown]>
}

/** The part of a mysql2 promise pool that is used. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection & { release(): void; destroy(): void }>
}

/** The server's answer to a write. */
export interface Written {
  readonly affectedRows: number
  /** The last value that the statement passed to LAST_INSERT_ID. */
  readonly insertId: number
}

/** A statement that is prepared once per connection, or, without `values`, sent as it is. */
export interface Statement {
  readonly sql: string
  readonly values?: readonly Value[]
}

// Some client options turn rows into arrays or nested objects, and two decide whether an integer is a number or text. So every
// query sets them all; only text keeps every digit.
const ASKED = {
  nestTables: false,
  rowsAsArray: false,
  namedPlaceholders: false,
  supportBigNumbers: true,
  bigNumberStrings: true,
}

// How often, and until how many milliseconds after the first try, a statement that was rolled back is run again. The middleware's
// default deadline for a store call is two seconds, and no caller waits longer.
const RETRIES = 20
const PATIENCE = 1800

// After these errors nothing was done, and the same statement may succeed the next time.
const UNDONE: ReadonlySet<unknown> = new Set([
  1213, // a deadlock, also one between the nodes of a cluster
  1205, // waited too long for a lock
  1020, // changed since it was read: MariaDB with innodb_snapshot_isolation
  1412, // the table was altered meanwhile
  1615, // prepared before the table was altered
])
// The server, or a proxy in front of it, does not prepare statements, or has forgotten this one.
const NOT_PREPARED: ReadonlySet<unknown> = new Set([1210, 1243, 1295, 1461])
const UNKNOWN_COMMAND = 1047
// The server closes the connection, has become read-only, or is a node that Galera has cut off.
const USED_UP: ReadonlySet<unknown> = new Set([UNKNOWN_COMMAND, 1153, 1290, 1792, 1836])
const UNKNOWN_TABLE = 1146
const UNKNOWN_COLUMN = 1054
const NO_DEFAULT = 1364
// A missing right. The server's message, which is not shown, would say which.
const DENIED: ReadonlySet<unknown> = new Set([1044, 1142])
const RIGHTS =
  ': the table of the MysqlStore needs the rights to select, insert, update and delete, and to create it if it is missing; or make it from mysqlSchema()'

const IN_TRANSACTION = 1

export class Sender {
  readonly #client: MysqlConnection | MysqlPool
  readonly #schema: string | undefined
  #making: Promise<unknown> | undefined
  #prepares = true

  /** @param schema makes the table if it is missing; `undefined` if the store must not make it. */
  constructor(client: MysqlConnection | MysqlPool, schema: string | undefined) {
    this.#client = client
    this.#schema = schema
  }

  async rows(statement: Statement): Promise<unknown[]> {
    const answer = await this.#run(statement)
    if (!Array.isArray(answer)) throw unexpected()
    return answer as unknown[]
  }

  async write(statement: Statement): Promise<Written> {
    const answer = (await this.#run(statement)) as Partial<Record<keyof Written, unknown>>
    const written = { affectedRows: Number(answer.affectedRows), insertId: Number(answer.insertId) }
    if (Number.isNaN(written.affectedRows) || Number.isNaN(written.insertId)) throw unexpected()
    if (isInTransaction(answer))
      throw storeFailure(
        'a session was written inside a transaction that is still open: give the MysqlStore connections of its own, with autocommit on',
      )
    return written
  }

  /** Runs a statement, and repeats it if the server's error means that nothing was done and that it may succeed. */
  async #run({ sql, values }: Statement): Promise<unknown> {
    const end = performance.now() + PATIENCE
    let schema = this.#schema
    // Ends with an answer, or throws when tries is RETRIES at the latest.
    for (let tries = 0; ; tries++) {
      const prepares = values !== undefined && this.#prepares
      try {
        if (prepares) return await this.#send('execute', sql, values)
        return await this.#send('query', values === undefined ? sql : withLiterals(sql, values), [])
      } catch (error) {
        const number = serverErrorNumber(error)
        if (tries === RETRIES) throw discreet(error)
        if (number === UNKNOWN_TABLE && schema !== undefined) {
          await this.#makeTable(schema)
          schema = undefined
        } else if (prepares && (NOT_PREPARED.has(number) || isUnknown(error))) this.#prepares = false
        else if (!UNDONE.has(number) || performance.now() > end) throw discreet(error)
        else if (tries > 0) await pause(Math.random() * Math.min(2 ** tries, 50))
      }
    }
  }

  async #send(verb: 'execute' | 'query', sql: string, values: readonly Value[]): Promise<unknown> {
    const askedOf = ({ config }: MysqlConnection): MysqlQuery => ({
      ...ASKED,
      // An app's own `typeCast` would convert each column, and only a function overrides it. A function makes a read twice as slow
      // (113 µs instead of 54, Node 20), so it is used only if the app has one, or the options of the connection cannot be seen.
      typeCast: config === undefined || typeof config.typeCast === 'function' ? (_field, next) => next() : true,
      sql,
      values: [...values],
    })
    const client = this.#client
    if (!('getConnection' in client)) return firstOf(await client[verb](askedOf(client)))

    const asked = performance.now()
    const connection = await client.getConnection()
    if (performance.now() - asked > MAX_SILENCE) {
      // In an outage a queue grows: nobody waits any more for what it would do now.
      connection.release()
      throw new Silence()
    }
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_, reject) => {
      timer = unrefed(setTimeout(() => reject(new Silence()), MAX_SILENCE))
    })
    let isGood = false
    try {
      const answer = firstOf(await Promise.race([connection[verb](askedOf(connection)), silence]))
      // Given back with a transaction of the app, it would fail each write, and show each read an old state.
      isGood = !isInTransaction(answer)
      return answer
    } catch (error) {
      isGood = !(error instanceof Silence) && !USED_UP.has(serverErrorNumber(error))
      throw error
    } finally {
      clearTimeout(timer)
      if (isGood) connection.release()
      else connection.destroy()
    }
  }

  /** Makes the table; changes nothing if it exists. A failure is not remembered. */
  #makeTable(schema: string): Promise<unknown> {
    this.#making ??= this.#send('query', schema, [])
      .catch((error: unknown) => {
        throw discreet(error)
      })
      .finally(() => {
        this.#making = undefined
      })
    return this.#making
  }
}

class Silence extends Error {
  readonly code = 'ETIMEDOUT'

  constructor() {
    super(`the server has not answered for ${MAX_SILENCE / 1000} seconds`)
  }
}

/** Of a write; rows have no status. */
function isInTransaction(answer: unknown): boolean {
  return (Number((answer as { serverStatus?: unknown }).serverStatus) & IN_TRANSACTION) !== 0
}

/** mysql2 answers with a pair: the rows or the result of a write, and the columns. */
function firstOf(answer: unknown): unknown {
  if (!Array.isArray(answer) || typeof answer[0] !== 'object' || answer[0] === null) throw unexpected()
  return answer[0]
}

function unexpected(): SessionError {
  return storeFailure(
    'the client of the MysqlStore does not answer as a promise pool or promise connection of mysql2 does',
  )
}

/** What a proxy answers that does not know how to prepare. Galera gives the same number, and begins its words with WSREP. */
function isUnknown(error: unknown): boolean {
  return serverErrorNumber(error) === UNKNOWN_COMMAND && !String(error).includes('WSREP')
}

/** Errors of the server have a number and an SQLSTATE; those of the connection have a negative number, or none. */
function serverErrorNumber(error: unknown): number | undefined {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown }
  return typeof errno === 'number' && typeof sqlState === 'string' ? errno : undefined
}

/**
 * The server quotes keys, values and pieces of statements in its messages, and mysql2 adds the statement. A logged cause must not
 * show data, so only the codes are kept, which say what went wrong.
 */
function discreet(error: unknown): unknown {
  const errno = serverErrorNumber(error)
  if (errno === undefined) return error
  const { code, sqlState } = error as { code?: unknown; sqlState: string }
  const message = `the server answered ${String(code)} (${errno}, SQLSTATE ${sqlState})${DENIED.has(errno) ? RIGHTS : ''}`
  const cause = Object.assign(new Error(message), { code, errno, sqlState })
  if (errno !== UNKNOWN_COLUMN && errno !== NO_DEFAULT) return cause
  return storeFailure(
    `the table of the MysqlStore is there, but it is another table and was not made by this store (${String(code)}): choose another name as options.table`,
    { cause },
  )
}
