// Turns each client that a PostgresStore can use into a function that sends one statement.
import { invalidType, storeFailure } from '../../errors.ts'
import { isPromise } from '../../store.ts'
import { MAX_SILENCE } from '../limits.ts'
import type { Values } from './rows.ts'

/** The part of a client's answer that is used. */
export interface PostgresResult {
  readonly rows: unknown[]
}

/** The part of a `pg` Pool or Client that is used, which a wrapper of another client must have. */
export interface PostgresClient {
  // `query_timeout`: after so many milliseconds without an answer `pg` gives up, and a Pool drops the connection.
  query(query: {
    name?: string
    text: string
    values?: (string | null)[]
    query_timeout?: number
  }): Promise<PostgresResult>
}

/** The part of PGlite that is used. */
export interface PGliteClient {
  query(text: string, values?: unknown[]): Promise<PostgresResult>
  exec(text: string): Promise<unknown>
}

/** Sends a statement; a text without values may contain several. */
export type Send = (query: { name?: string; text: string; values?: Values }) => Promise<readonly unknown[]>

const A_CLIENT = 'a Pool or a Client of pg, PGlite, or an object with their query method'

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` for a client without `query`. */
export function sender(client: unknown): Send {
  // A client may be a function with properties, as postgres.js is.
  const { query, exec, unsafe } = (client ?? {}) as { query?: unknown; exec?: unknown; unsafe?: unknown }
  if (typeof query !== 'function') {
    const remedy =
      typeof unsafe === 'function'
        ? 'of postgres.js pass { query: async ({ text, values }) => ({ rows: await sql.unsafe(text, values) }) }'
        : 'new PostgresStore(pool)'
    throw invalidType('client', A_CLIENT, client, remedy)
  }
  if (typeof exec === 'function') {
    // PGlite takes several statements only by `exec`, which the check above has found.
    const lite = client as PGliteClient
    return async ({ text, values }) => {
      if (values !== undefined) return rowsOf(await lite.query(text, values))
      await lite.exec(text)
      return []
    }
  }
  const spoken = client as PostgresClient
  if (isClient(client)) {
    return inTurn((query) => {
      if (isUnconnected(client))
        throw storeFailure(
          'the Client of the PostgresStore is not connected: call await client.connect() before the server starts, or pass a Pool, which connects by itself',
        )
      return answer(spoken.query(query))
    })
  }
  // Its members are only read, and checked.
  const silence = silenceOf(client as object)
  return (query) => answer(spoken.query(silence === undefined ? query : { ...query, query_timeout: silence }))
}

/**
 * How long a connection of a pool may be silent before it is given up; `undefined` without a limit.
 *
 * pg drops the connection, but the server goes on with the statement: with a table that is locked, one connection after another
 * would be taken up there. So there is a limit only where the server gives up first, and where pg has none of the app's.
 */
function silenceOf({ options }: { readonly options?: Readonly<Record<string, unknown>> | null }): number | undefined {
  const limitOf = (name: string): number => {
    const inUrl = new RegExp(`[?&]${name}=(\\d+)`).exec(String(options?.['connectionString']))?.[1]
    return Number(inUrl ?? options?.[name] ?? 0)
  }
  const atServer = limitOf('statement_timeout')
  return atServer > 0 && atServer < MAX_SILENCE && !(limitOf('query_timeout') > 0) ? MAX_SILENCE : undefined
}

/** A Client of pg, unlike a Pool, has these methods. */
export function isClient(client: unknown): client is object {
  return typeof client === 'object' && client !== null && 'escapeIdentifier' in client && 'escapeLiteral' in client
}

/** Whether `connect()` of a pg Client was never called: then it would queue statements for ever. */
export function isUnconnected(client: object): boolean {
  // Both kinds of Clients have these, plain and native.
  const { _connected, _connecting } = client as { readonly _connected?: unknown; readonly _connecting?: unknown }
  return _connected === false && _connecting === false
}

/** Sends statements one at a time: pg 9 will refuse a statement while the Client runs another one, and pg 8 warns of it. */
function inTurn(send: Send): Send {
  let last: Promise<unknown> = Promise.resolve()
  return (query) => {
    const turn = last.then(() => send(query))
    last = turn.catch(() => undefined) // only its own caller gets the error
    return turn
  }
}

/** The rows of an answer. An answer of another shape must not pass for a missing session. */
function answer(result: unknown): Promise<readonly unknown[]> {
  if (isPromise(result)) return result.then(rowsOf)
  throw storeFailure(`the client of the PostgresStore did not answer with a promise: it must be ${A_CLIENT}`)
}

function rowsOf(result: unknown): readonly unknown[] {
  // Several statements have several results, which are not used.
  if (Array.isArray(result) && result.every((one) => Array.isArray((one as Partial<PostgresResult> | null)?.rows))) {
    return []
  }
  const rows: unknown = (result as Partial<PostgresResult> | null | undefined)?.rows
  if (Array.isArray(rows)) return rows
  throw storeFailure(`the client of the PostgresStore answered without rows: it must be ${A_CLIENT}`)
}

// Missing column, column of another type, no operator for these types, no key to conflict with, a name that is no table's.
const ANOTHER_TABLE = new Set(['42703', '42804', '42883', '42P10', '42809'])

export function sqlState(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/**
 * An error of the server, or of a statement, without what else its client keeps of it: PostgreSQL quotes whole rows in its details,
 * and PGlite and postgres.js list the values of the statement. A logged cause must not show data.
 */
export function discreet(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const state = sqlState(error)
  const isOfServer = state !== undefined && /^(?=.*\d)[\dA-Z]{5}$/.test(state)
  if (!isOfServer && !('params' in error) && !('parameters' in error)) return error
  const cause = Object.assign(new Error(error.message), { code: state })
  if (state === undefined || !ANOTHER_TABLE.has(state)) return cause
  return storeFailure(
    `the table of the PostgresStore is there, but it is another table and was not made by this store (${state}): choose another name as options.table, or another options.schema`,
    { cause },
  )
}
