// The table of a SqliteStore, and its statements.
import { checkOptions } from '../../checks.ts'
import { invalidValue } from '../../errors.ts'
import { checkIdentifier } from '../identifier.ts'

/** The names of the statements of a store. */
export type StatementName = keyof ReturnType<typeof statementTexts>

export const COLUMNS = 'key, version, owner, created_at, last_seen_at, expires_at, meta, payload, sweep_at'

/**
 * The statements that make the table of a `SqliteStore` and its indexes, for apps that manage their schema themselves and set
 * `createTable: false`. Running them again changes nothing.
 *
 * @param options the store's `table` option, or the name of the table.
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a table name that is not a plain identifier.
 */
export function sqliteSchema(options: string | { readonly table?: string | undefined } = {}): string {
  const given = typeof options === 'string' ? { table: options } : options
  checkOptions(given, ['table'])
  const { table = 'sessions' } = given
  checkTable(table)
  const indexes = indexesOf(table).map(({ name, on }) => `${indexText(name, on)};`)
  return [`${tableText(table)};`, ...indexes].join('\n')
}

export function checkTable(table: unknown): asserts table is string {
  checkIdentifier('options.table', table, 63)
  if (/^sqlite_/i.test(table)) throw invalidValue('options.table', 'a name that does not start with sqlite_', table)
}

export function tableText(table: string): string {
  // WITHOUT ROWID would take three times the size of a 1 kB payload, because rows that are not small fill an index badly.
  // The payload comes last, so that the other columns are on a row's first page, however large the payload.
  return `CREATE TABLE IF NOT EXISTS "${table}" (
      key TEXT NOT NULL PRIMARY KEY,
      version INTEGER NOT NULL,
      owner TEXT,
      created_at INTEGER NOT NULL,
      last_seen_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      sweep_at INTEGER NOT NULL,
      meta TEXT,
      payload NOT NULL
    )`
}

export function indexesOf(table: string): { name: string; on: string }[] {
  return [
    { name: `${table}_owner`, on: `"${table}" (owner, key) WHERE owner IS NOT NULL` },
    { name: `${table}_sweep`, on: `"${table}" (sweep_at)` },
  ]
}

export function indexText(name: string, on: string): string {
  return `CREATE INDEX IF NOT EXISTS "${name}" ON ${on}`
}

/**
 * `sweep_at` is an instant no later than `expires_at`, and only `sweep_at` is indexed. A touch does not move it, and so writes no
 * index. When it has passed, the sweep removes the record or sets `sweep_at` to the current `expires_at`.
 *
 * SQLite rewrites the index of each column that SET names, changed or not: twice the pages for a replace or a touch. So both have
 * a short form, which names no indexed column and matches no row if one has to change, and a full form.
 *
 * `textAsBytes`: libsql ends the process over text that is not UTF-8, so all text is read as bytes.
 */
export function statementTexts(table: string, textAsBytes: boolean) {
  const due = `rowid IN (SELECT rowid FROM "${table}" WHERE sweep_at <= ? ORDER BY sweep_at LIMIT ?)`
  const version = 'key = ? AND version = ? AND expires_at > ?'
  const fields = 'version = ?, created_at = ?, last_seen_at = ?, expires_at = ?, meta = ?, payload = ?'
  const seen =
    'last_seen_at = max(last_seen_at, ?), expires_at = CASE WHEN ? >= last_seen_at THEN ? ELSE expires_at END'
  const text = (column: string) => (textAsBytes ? `CAST(${column} AS BLOB) AS ${column}` : column)
  const whole = (column: string) =>
    textAsBytes ? `CASE typeof(${column}) WHEN 'integer' THEN ${column} END AS ${column}` : column
  const payload = textAsBytes
    ? "CASE typeof(payload) WHEN 'text' THEN CAST(payload AS BLOB) ELSE payload END"
    : 'payload'
  const columns = [
    ...['key', 'owner', 'meta'].map(text),
    ...['version', 'created_at', 'last_seen_at', 'expires_at'].map(whole),
    ...(textAsBytes ? ["typeof(payload) = 'text' AS is_text"] : []),
  ].join(', ')
  // A portion looks at a number of rows, live or not. The payload of an expired row is not read: NULL there means expired. Any
  // text sorts before any blob, such as x''.
  const after = "key > ? AND key < x'' ORDER BY held.key LIMIT ?"
  const live = `${columns}, CASE WHEN expires_at > ? THEN ${payload} END AS payload`
  return {
    // (key, now)
    read: `SELECT ${columns}, ${payload} AS payload FROM "${table}" WHERE key = ? AND expires_at > ?`,
    version: `SELECT ${whole('version')} FROM "${table}" WHERE key = ? AND expires_at > ?`,
    // (key, version, owner, createdAt, lastSeenAt, expiresAt, meta, payload, expiresAt, now)
    create: `
      INSERT INTO "${table}" (${COLUMNS})
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
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
    // (now, owner, the last key of the batch before, how many rows to look at)
    list: `SELECT ${live} FROM "${table}" AS held WHERE owner = ? AND ${after}`,
    listKeys: `SELECT ${text('key')}, expires_at > ? AS live FROM "${table}" AS held WHERE owner = ? AND ${after}`,
    // (now, the last key of the batch before, how many rows to look at)
    scan: `SELECT ${live} FROM "${table}" AS held WHERE ${after}`,
    collect: `DELETE FROM "${table}" WHERE ${due} AND expires_at <= ?`,
    postpone: `UPDATE "${table}" SET sweep_at = expires_at WHERE ${due} AND expires_at > ?`,
  }
}
