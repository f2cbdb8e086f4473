// The clients that a PostgresStore can speak through, made alike: a function that sends one statement.
import { invalidType, SessionError } from '../../errors.ts'
import { isPromise } from '../../store.ts'
import type { Values } from './rows.ts'

/** The part that is used of what a client answers. */
export interface PostgresResult {
  readonly rows: unknown[]
}

/** The part that is used of a `pg` Pool or Client, and what a wrapper of another client has to have. */
export interface PostgresClient {
  query(query: { name?: string; text: string; values?: (string | null)[] }): Promise<PostgresResult>
}

/** The part that is used of PGlite. */
export interface PGliteClient {
  query(text: string, values?: unknown[]): Promise<PostgresResult>
  exec(text: string): Promise<unknown>
}

/** Sends a statement; one without values may be several. */
export type Send = (query: { name?: string; text: string; values?: Values }) => Promise<readonly unknown[]>

/** Of `pg`'s Clients, plain and native: what tells whether `connect()` was ever called. */
interface MaybeConnected {
  readonly _connected?: unknown
  readonly _connecting?: unknown
}

const A_CLIENT = 'a Pool or a Client of pg, PGlite, or an object with their query method'

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` for what has no `query`. */
export function sender(client: unknown): Send {
  // A function may have properties as well: postgres.js is one.
  const { query, exec, unsafe } = (client ?? {}) as { query?: unknown; exec?: unknown; unsafe?: unknown }
  if (typeof query !== 'function') {
    const remedy =
      typeof unsafe === 'function'
        ? 'of postgres.js pass { query: async ({ text, values }) => ({ rows: await sql.unsafe(text, values) }) }'
        : 'new PostgresStore(pool)'
    throw invalidType('client', A_CLIENT, client, remedy)
  }
  if (typeof exec === 'function') {
    // PGlite takes several statements by `exec` alone, which the check above has found.
    const lite = client as PGliteClient
    return async ({ text, values }) => {
      if (values !== undefined) return rowsOf(await lite.query(text, values))
      await lite.exec(text)
      return []
    }
  }
  const spoken = client as PostgresClient
  if (!isClient(client)) return (query) => answer(spoken.query(query))
  return inTurn((query) => {
    assertConnected(client)
    return answer(spoken.query(query))
  })
}

/** A Client of pg, unlike a Pool, has these methods. */
export function isClient(client: unknown): client is object {
  return typeof client === 'object' && client !== null && 'escapeIdentifier' in client && 'escapeLiteral' in client
}

/** Whether a Client of pg was neither connected nor told to connect: it would keep statements for ever. */
export function isUnconnected(client: object): boolean {
  const { _connected, _connecting } = client as MaybeConnected
  return _connected === false && _connecting === false
}

function assertConnected(client: object): void {
  if (!isUnconnected(client)) return
  throw new SessionError(
    'ERR_SESSION_STORE',
    'the Client of the PostgresStore is not connected: call await client.connect() before the server starts, or pass a Pool, which connects by itself',
  )
}

/** pg 9 will no longer take a statement while a Client still runs another one, and pg 8 warns of it. */
function inTurn(send: Send): Send {
  let last: Promise<unknown> = Promise.resolve()
  return (query) => {
    const turn = last.then(() => send(query))
    last = turn.catch(() => undefined) // its own caller is told
    return turn
  }
}

/** What answers in another way must not be taken for a table without that session. */
function answer(result: unknown): Promise<readonly unknown[]> {
  if (isPromise(result)) return result.then(rowsOf)
  throw new SessionError(
    'ERR_SESSION_STORE',
    `the client of the PostgresStore did not answer with a promise: it must be ${A_CLIENT}`,
  )
}

function rowsOf(result: unknown): readonly unknown[] {
  // Of several statements there are several results; nobody reads them.
  if (Array.isArray(result) && result.every((one) => Array.isArray((one as Partial<PostgresResult> | null)?.rows))) {
    return []
  }
  const rows: unknown = (result as Partial<PostgresResult> | null | undefined)?.rows
  if (Array.isArray(rows)) return rows
  throw new SessionError(
    'ERR_SESSION_STORE',
    `the client of the PostgresStore answered without rows: it must be ${A_CLIENT}`,
  )
}

export const UNDEFINED_TABLE = '42P01'
export const UNKNOWN_STATEMENT = '26000'
export const DUPLICATE_STATEMENT = '42P05'
export const SERIALIZATION_FAILURE = '40001'
/** The database keeps another encoding than UTF-8, which has no such character. */
export const UNTRANSLATABLE = '22P05'

// A column that is not there, is of another type, no key to conflict with, a name that is no table's.
const ANOTHER_TABLE = new Set(['42703', '42804', '42883', '42P10', '42809'])
// More announcements than the server can keep, no right to announce, a server that has no announcements.
const NOT_ANNOUNCED = new Set(['54000', '42501', '42883', '0A000'])

export function sqlState(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** Whether a statement may have been undone only because it also announced. */
export function isAnnouncementRefused(state: string | undefined): boolean {
  return state !== undefined && NOT_ANNOUNCED.has(state)
}

/** PostgreSQL quotes the whole row in the detail of some errors: a cause that is logged must not show data. */
export function discreet(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const cause = Object.assign(error, { detail: undefined, where: undefined })
  const state = sqlState(error)
  if (state === undefined || !ANOTHER_TABLE.has(state)) return cause
  return new SessionError(
    'ERR_SESSION_STORE',
    `the table of the PostgresStore is there, but it is another table and was not made by this store (${state}): choose another name as options.table, or another options.schema`,
    { cause },
  )
}
