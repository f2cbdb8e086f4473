// What a MysqlStore says to the server. Texts with question marks are prepared; the others get their values as literals.
import { literal, type Value } from './values.ts'

// What a conditional write says of the row that it met, through LAST_INSERT_ID(expression): the server puts that into its
// answer, beside the number of rows, which means one thing or another by a flag of the connection (FOUND_ROWS). It is
// worked out on the very state of the row that the write locks, so the answer and the write are one step.
export const DONE = 1
/** Met the condition at first, and was removed while the statement waited for the row. */
const REMOVED = 2
export const STALE = 3
const EXPIRED = 4

// Records that the sweep looks at in one statement, so that it holds few locks, and those briefly.
export const BATCH = 500

const HEAD = '`key`, version, owner, created_at, last_seen_at, expires_at'
const CONTENT = ['meta', 'payload', 'payload_bytes']
const COLUMNS = [HEAD, ...CONTENT].join(', ')

// Bytes have no collation, no padding and no character set: keys and owners are equal when they are the same, whatever
// the defaults of the server, and no setting of a connection can convert them on their way. Text is UTF-8 in them.
// An owner has 255 units of UTF-16 at most, and an escaped one (text.ts) six bytes for each. The strict mode of a server
// may be off, which would cut what is longer: values.ts refuses it first.
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

// `sweep_at` is an instant no later than `expires_at`, and only it is indexed. A touch leaves it behind, and so writes no
// index; when it passes, the sweep removes the record or moves `sweep_at` on to where `expires_at` has got to.
//
// No assignment reads a column that stands to its left: MySQL would give it the new value there, and MariaDB the old one
// where sql_mode has SIMULTANEOUS_ASSIGNMENT.
export function statements(name: string) {
  const table = `\`${name}\``
  // (..., key, now, version)
  const ifLive = `
      WHERE \`key\` = ? AND LAST_INSERT_ID(CASE
        WHEN expires_at <= ? THEN ${EXPIRED} WHEN version = ? THEN ${REMOVED} ELSE ${STALE} END) = ${REMOVED}`
  const portion = (where: readonly string[], columns: string, after: Buffer, limit: number): string => `
      SELECT ${columns} FROM ${table}
      WHERE ${[...where, `\`key\` > ${literal(after)}`].join(' AND ')} ORDER BY \`key\` LIMIT ${literal(limit)}`
  // Those that have expired are passed over after they were read, so that a portion has an end however many they are.
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

    // SKIP LOCKED: a record that somebody holds is left for another time. What it locks is free again at its end; the
    // statements after it lock in the order of the primary key, as all do that lock several.
    due: (now: number) => `
      SELECT \`key\`, expires_at FROM ${table} WHERE sweep_at <= ${literal(now)}
      ORDER BY sweep_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
    // FORCE INDEX: for a small table the server would rather read, and lock, all of it.
    collect: (keys: readonly Value[], now: number) => `
      DELETE held FROM ${table} AS held FORCE INDEX (PRIMARY)
      WHERE ${among(keys)} AND expires_at <= ${literal(now)}`,
    postpone: (keys: readonly Value[], now: number) => `
      UPDATE ${table} FORCE INDEX (PRIMARY) SET sweep_at = expires_at
      WHERE ${among(keys)} AND expires_at > ${literal(now)}`,
  }
}
