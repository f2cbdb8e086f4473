// The databases that a SqliteStore can work with: node:sqlite, better-sqlite3, libsql and bun:sqlite, recognised by shape.
import { fileURLToPath } from 'node:url'
import { invalidMix, invalidType, invalidValue, storeFailure, type SessionError } from '../../errors.ts'
import { isPromise } from '../../store.ts'
import { COLUMNS, indexesOf, indexText, tableText } from './statements.ts'
import type { Row } from './rows.ts'

export type Value = string | number | null | Uint8Array

/** The part that is used of a prepared statement. */
// The types of better-sqlite3 and libsql infer the parameters of each statement; under TypeScript 5 only `any` fits all.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export interface SqliteStatement<Bound = any> {
  run(...values: Bound[]): { readonly changes: number | bigint }
  get(...values: Bound[]): unknown
  all(...values: Bound[]): unknown[]
  /** Only in newer versions of node:sqlite, where a database may be set to give rows as arrays. */
  setReturnArrays?(enabled: boolean): void
  /** Only in node:sqlite, which otherwise throws for an integer above the safe ones; it never rounds. */
  setReadBigInts?(enabled: boolean): void
}

/** The part that is used of a database, as node:sqlite, better-sqlite3, libsql and bun:sqlite have it. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  readonly inTransaction?: boolean
  /** Only in libsql. */
  sync?(): unknown
}

export type OwnDatabase = SqliteDatabase & { close(): void }

const A_DATABASE = 'a path, or a database of node:sqlite, better-sqlite3, libsql or bun:sqlite'

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` unless it is a database that does not answer by callback. */
export function checkDatabase(database: unknown): asserts database is SqliteDatabase {
  const { exec, prepare, parallelize } = (database ?? {}) as Readonly<Record<string, unknown>>
  if (typeof exec !== 'function' || typeof prepare !== 'function') throw invalidType('database', A_DATABASE, database)
  if (typeof parallelize === 'function') {
    throw invalidType('database', A_DATABASE, database, 'sqlite3 answers by callback, which cannot be waited for')
  }
}

/** @throws {TypeError} if it is no path of a file, and if this Node has no `node:sqlite`. */
export function openPath(given: string | URL): OwnDatabase {
  const path = pathOf(given)
  // The oldest supported Node has neither this module nor its types.
  const sqlite = process.getBuiltinModule('node:sqlite' as 'node:fs') as unknown as
    { DatabaseSync: new (path: string) => OwnDatabase } | undefined
  if (sqlite === undefined)
    throw invalidMix(
      'new SqliteStore(path) needs node:sqlite, which this Node does not have: run Node 22.13 or newer, or install better-sqlite3 or libsql and pass a database of it',
    )
  return new sqlite.DatabaseSync(path)
}

function pathOf(given: string | URL): string {
  const rule = "a path, ':memory:' or an absolute file: URL without parameters"
  if (given === '' || (typeof given === 'string' && given.includes('\0'))) throw invalidValue('database', rule, given)
  if (typeof given === 'string' && !/^[a-z][a-z0-9+.-]+:/i.test(given)) return given
  const text = String(given)
  // A URL made from file:name loses that the name was relative.
  if (!/^file:\//i.test(text) || /[?#]/.test(text)) throw invalidValue('database', rule, given)
  try {
    return fileURLToPath(text)
  } catch {
    throw invalidValue('database', rule, given)
  }
}

/** A statement that gives rows as objects, and integers of any size. */
export function prepared(database: SqliteDatabase, text: string): SqliteStatement<Value> {
  const statement = database.prepare(text) as SqliteStatement<Value> // all databases bind these
  statement.setReturnArrays?.(false)
  statement.setReadBigInts?.(true)
  return statement
}

function rows(database: SqliteDatabase, text: string, ...values: Value[]): Row[] {
  return prepared(database, text).all(...values) as Row[] // a column that is not there reads as undefined
}

/** The file of the database; `undefined` for one in memory. */
export function fileOf(database: SqliteDatabase): string | undefined {
  const file = rows(database, 'PRAGMA database_list').find(({ name }) => name === 'main')?.['file']
  return typeof file === 'string' && file !== '' ? file : undefined
}

/** @throws {SessionError} for a table of that name which is not a store's. */
export function makeTable(database: SqliteDatabase, table: string): void {
  database.exec(tableText(table))
  const there = new Set(rows(database, `PRAGMA table_info("${table}")`).map(({ name }) => name))
  if (!COLUMNS.split(', ').every((column) => there.has(column))) throw anotherTable()
  for (const { name, on } of indexesOf(table)) {
    const free = freeName(database, table, name)
    if (free !== undefined) database.exec(indexText(free, on))
  }
}

/** A name for the index that no other object has, and no index of another table. */
function freeName(database: SqliteDatabase, table: string, name: string): string | undefined {
  const look =
    "SELECT type = 'index' AND tbl_name = ? COLLATE NOCASE AS is_ours FROM sqlite_master WHERE name = ? COLLATE NOCASE"
  const names = [name, ...[2, 3, 4, 5, 6, 7, 8, 9].map((number) => `${name}_${number}`)]
  return names.find((candidate) => {
    const [taken] = rows(database, look, table, candidate)
    return taken === undefined || Number(taken['is_ours']) === 1
  })
}

/** @throws {SessionError} if the answer has another shape, which must not pass for a missing session. */
export function wrote(result: { readonly changes?: unknown } | null | undefined): boolean {
  return changesIn(result) > 0
}

/** @throws {SessionError} as {@link wrote} does. */
export function changesIn(result: { readonly changes?: unknown } | null | undefined): number {
  const changes = result?.changes
  if (typeof changes === 'number' || typeof changes === 'bigint') return Number(changes)
  throw storeFailure(`the database of the SqliteStore did not say what a statement changed: it must be ${A_DATABASE}`)
}

/** @throws {SessionError} if the database answers with a promise. */
export function assertAtOnce(answer: unknown): void {
  if (!isPromise(answer)) return
  throw storeFailure(`the database of the SqliteStore answers with a promise: it must be ${A_DATABASE}`)
}

// better-sqlite3, libsql and bun:sqlite name the result code, node:sqlite gives its number, whose low byte is the primary
// one: 5 for SQLITE_BUSY (another connection), 6 for SQLITE_LOCKED (another statement on a shared cache), 15 for
// SQLITE_PROTOCOL (the lock changed hands too quickly).
export function isLocked(error: unknown): boolean {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }
  if (typeof errcode === 'number') return [5, 6, 15].includes(errcode & 0xff)
  return typeof code === 'string' && /^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(code)
}

// Such errors share one result code, SQLITE_ERROR, so the message decides. It has not changed in twenty years.
export function isMissingTable(error: unknown, table: string): boolean {
  const words = `no such table: ${table}`.toLowerCase()
  return messageOf(error).toLowerCase().replace('no such table: main.', 'no such table: ').endsWith(words)
}

const ANOTHER_TABLE =
  /no such column|has no column named|ON CONFLICT clause does not match|because it is a view|NOT NULL constraint failed/

/** The error for the core, with an explanation if the table was not made by a store. */
export function worded(error: unknown): unknown {
  return ANOTHER_TABLE.test(messageOf(error)) ? anotherTable(error) : error
}

function anotherTable(cause?: unknown): SessionError {
  return storeFailure(
    'the table of the SqliteStore is there, but it is another table and was not made by this store: choose another name as options.table',
    cause === undefined ? undefined : { cause },
  )
}

function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown }
  return typeof message === 'string' ? message : ''
}
