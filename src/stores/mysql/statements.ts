// The statements of a MysqlStore. Texts with question marks are prepared; the others contain their values as literals.
import { literal, type Value } from './values.ts'

// What a conditional write reports of the row that it met, through LAST_INSERT_ID(expression): the server returns that value in its
// answer. It also returns the number of rows, but the meaning of that depends on a flag of the connection (FOUND_ROWS). The value
// is computed on the very state of the row that the write locks, so the answer and the write are one atomic step.
export const DONE = 1
/** The row met the condition at first, but was removed while the statement waited for it. */
const REMOVED = 2
export const STALE = 3
const EXPIRED = 4

// The records that the sweep looks at in one statement: it holds few locks, and only briefly.
export const BATCH = 500

const HEAD = '`key`, version, owner, created_at, last_seen_at, expires_at'
const CONTENT = ['meta', 'payload', 'payload_bytes']
const COLUMNS = [HEAD, ...CONTENT].join(', ')

// Bytes have no collation, no padding and no character set: only identical keys and owners are equal, whatever the defaults of the
// server, and no setting of a connection can convert them. Text is stored as UTF-8 bytes. An owner has at most 255 UTF-16 units,
// and an escaped one (text.ts) six bytes for each. A server without strict mode would truncate a longer value, so values.ts
// refuses it first.
export function schema(table: string): string {
  return `
    CREATE TABLE IF NOT EXISTS \`${table}\` (
      \`key\` VARBINARY(255) NOT NULL,
      version BIGINT NOT NULL,
      created_at BIGINT NOT NULL,
      last_seen_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      sweep_at BIGINT NOT NULL,
      owner VARBINARY(1600),
      meta MEDIUMBLOB,
      payload LONGBLOB,
      payload_bytes LONGBLOB,
      PRIMARY KEY (\`key\`),
      KEY owner_key (owner, \`key\`),
      KEY sweep_at (sweep_at)
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
  `
}

export type Statements = ReturnType<typeof statements>

// `sweep_at` is an instant no later than `expires_at`, and only `sweep_at` is indexed. A touch does not move it, and so writes no
// index. When it has passed, the sweep removes the record or sets `sweep_at` to the current `expires_at`.
//
// No assignment reads a column that was assigned to its left: MySQL gives the new value there, but MariaDB the old one if sql_mode
// has SIMULTANEOUS_ASSIGNMENT.
export function statements(name: string) {
  const table = `\`${name}\``
  // (..., key, now, version)
  const ifLive = `
      WHERE \`key\` = ? AND LAST_INSERT_ID(CASE
        WHEN expires_at <= ? THEN ${EXPIRED} WHEN version = ? THEN ${REMOVED} ELSE ${STALE} END) = ${REMOVED}`
  const portion = (where: readonly string[], columns: string, after: Buffer, limit: number): string => `
      SELECT ${columns} FROM ${table}
      WHERE ${[...where, `\`key\` > ${literal(after)}`].join(' AND ')} ORDER BY \`key\` LIMIT ${literal(limit)}`
  // Expired rows are dropped only after they were read, so that a portion ends however many of them there are.
  const liveColumns = (now: number): string => {
    const ofLive = (column: string) => `IF(expires_at > ${literal(now)}, ${column}, NULL) AS ${column}`
    return [HEAD, ...CONTENT.map(ofLive)].join(', ')
  }
  const among = (keys: readonly Value[]): string => `\`key\` IN (${keys.map(literal).join(', ')})`

  return {
    // (key, now)
    read: `SELECT ${COLUMNS} FROM ${table} WHERE \`key\` = ? AND expires_at > ?`,

    // (the columns, sweep_at)
    create: `INSERT INTO ${table} (${COLUMNS}, sweep_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,

    // (version, owner, createdAt, lastSeenAt, expiresAt, meta, payload, payload as bytes, sweep_at, key, now)
    takeOver: `
      UPDATE ${table} SET
        version = IF(LAST_INSERT_ID(${DONE}), ?, 0), owner = ?, created_at = ?, last_seen_at = ?, expires_at = ?,
        meta = ?, payload = ?, payload_bytes = ?, sweep_at = ?
      WHERE \`key\` = ? AND LAST_INSERT_ID(IF(expires_at <= ?, ${REMOVED}, ${STALE})) = ${REMOVED}`,

    // (version, owner, createdAt, lastSeenAt, expiresAt, meta, payload, payload as bytes, expiresAt, key, now, version)
    replace: `
      UPDATE ${table} SET
        version = IF(LAST_INSERT_ID(${DONE}), ?, 0), owner = ?, created_at = ?, last_seen_at = ?, expires_at = ?,
        meta = ?, payload = ?, payload_bytes = ?, sweep_at = LEAST(sweep_at, ?) ${ifLive}`,

    // (lastSeenAt, expiresAt, lastSeenAt, expiresAt, lastSeenAt, key, now, version)
    touch: `
      UPDATE ${table} SET
        expires_at = IF(? >= last_seen_at, ?, expires_at),
        sweep_at = IF(? >= last_seen_at, LEAST(sweep_at, ?), sweep_at),
        last_seen_at = IF(LAST_INSERT_ID(${DONE}), GREATEST(last_seen_at, ?), 0) ${ifLive}`,

    // (key)
    remove: `DELETE FROM ${table} WHERE \`key\` = ?`,

    list: (owner: Buffer, now: number, after: Buffer, limit: number): string =>
      portion([`owner = ${literal(owner)}`], liveColumns(now), after, limit),
    listKeys: (owner: Buffer, now: number, after: Buffer, limit: number): string =>
      portion([`owner = ${literal(owner)}`], '`key`, expires_at', after, limit),
    scan: (now: number, after: Buffer, limit: number): string => portion([], liveColumns(now), after, limit),

    // SKIP LOCKED: a record that another statement locks is left for another sweep. The locks are released at the end of this
    // statement; those after it lock in the order of the primary key, as all statements do that lock several rows.
    due: (now: number) => `
      SELECT \`key\`, expires_at FROM ${table} WHERE sweep_at <= ${literal(now)}
      ORDER BY sweep_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
    // FORCE INDEX: otherwise the server would read and lock the whole of a small table.
    collect: (keys: readonly Value[], now: number) => `
      DELETE held FROM ${table} AS held FORCE INDEX (PRIMARY)
      WHERE ${among(keys)} AND expires_at <= ${literal(now)}`,
    // For sql_safe_updates: this form of DELETE cannot force an index, and needs a LIMIT where the server uses none.
    collectSafely: (keys: readonly Value[], now: number) => `
      DELETE FROM ${table} WHERE ${among(keys)} AND expires_at <= ${literal(now)}
      ORDER BY \`key\` LIMIT ${BATCH}`,
    postpone: (keys: readonly Value[], now: number) => `
      UPDATE ${table} FORCE INDEX (PRIMARY) SET sweep_at = expires_at
      WHERE ${among(keys)} AND expires_at > ${literal(now)}`,
  }
}
