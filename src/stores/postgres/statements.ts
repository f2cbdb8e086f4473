// The table of a PostgresStore, and its statements. All results are text: an app may have set its client to parse integers,
// booleans or bytes in its own way, and some clients cannot return bytes.
import { hash } from 'node:crypto'
import { checkOptions } from '../../checks.ts'
import { checkIdentifier } from '../identifier.ts'

/** Where the records are. */
export interface PostgresTable {
  /**
   * The table of the records: a letter or underscore, then letters, digits and underscores, 56 characters at most.
   *
   * @default 'sessions'
   */
  readonly table?: string | undefined
  /** The schema of the table, which must exist. Left out, the connection's `search_path` decides. */
  readonly schema?: string | undefined
}

export interface Statement {
  readonly text: string
  /** With a name, the server parses and plans the statement once per connection. */
  readonly name?: string
  /** The places of the opaque texts (meta and payload), and of the owner, which is compared. */
  readonly opaque?: readonly number[]
  readonly owner?: number
}

/** The statements of a store; `end` and `removeAloud` also notify the listeners. */
export type StatementName =
  'read' | 'create' | 'replace' | 'end' | 'touch' | 'remove' | 'removeAloud' | 'list' | 'listKeys' | 'scan' | 'sweep'

export type Statements = Readonly<Record<StatementName, Statement>>

// An advisory lock, so that processes that start together make the table one after another: IF NOT EXISTS alone fails when two do
// it at once. The number is arbitrary but must never change.
const MAKING_LOCK = 7_021_975_630
const HEAD = 'key, version::text, owner, created_at::text, last_seen_at::text, expires_at::text, meta'

/**
 * The statements that make the table of a `PostgresStore` and its indexes, for apps that manage their schema themselves and set
 * `createTable: false`. Running them again changes nothing.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a name that is not a plain identifier.
 */
export function postgresSchema(options: PostgresTable = {}): string {
  checkOptions(options, ['table', 'schema'])
  return schemaOf(options)
}

function schemaOf(options: PostgresTable): string {
  const { table = 'sessions' } = options
  const target = tableName(options)
  // Columns of fixed width come first, which saves padding. The collation C compares bytes: keys and owners need no language's
  // order, and an index in such an order breaks when the system's locales are upgraded. The fillfactor leaves room on each page, so
  // that a row's next version can lie on the same page and needs no new index entries.
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
    CREATE INDEX IF NOT EXISTS "${table}_owner" ON ${target} (owner, key) WHERE owner IS NOT NULL;
    CREATE INDEX IF NOT EXISTS "${table}_sweep" ON ${target} (sweep_at);
  `
}

/** Makes the table. Several statements in one text are one transaction, and the lock lasts until its end. */
export function makingOf(options: PostgresTable): string {
  const target = tableName(options)
  // If another relation has the name of an index, IF NOT EXISTS has skipped the index. Then the server chooses another name.
  const unlessThere = (column: string, index: string) => `
      IF NOT EXISTS (
        SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = '${target}'::regclass AND attname = '${column}'
      ) THEN CREATE INDEX ON ${target} ${index}; END IF;`
  // What another process made before it gave the lock away must be seen after it.
  return `
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SELECT pg_advisory_xact_lock(${MAKING_LOCK});
    ${schemaOf(options)}
    DO $$ BEGIN
      ${unlessThere('owner', '(owner, key) WHERE owner IS NOT NULL')}
      ${unlessThere('sweep_at', '(sweep_at)')}
    END $$;
  `
}

/**
 * The channel on which ends are announced. Its name depends only on the table, so that processes that name the schema and
 * processes that use `search_path` share it. A table of the same name in another schema adds keys that no session here has.
 */
export function channelOf({ table = 'sessions' }: PostgresTable): string {
  return `koa-fastsession-${digest(table)}`
}

// `sweep_at` is an instant no later than `expires_at`, and only `sweep_at` is indexed. A touch does not move it, and so stays a
// heap-only update. When it has passed, the sweep removes the record or sets `sweep_at` to the current `expires_at`.
export function statementsFor(options: PostgresTable): Statements {
  const target = tableName(options)
  const channel = channelOf(options)
  const replaced = `
      WITH replaced AS (
        UPDATE ${target} SET
          version = $2, owner = $3, created_at = $4, last_seen_at = $5, expires_at = $6,
          sweep_at = least(sweep_at, $6), meta = $7, payload = $8, payload_bytes = decode($9, 'base64')
        WHERE key = $1::text AND version = $11 AND expires_at > $10
        RETURNING key
      )
      SELECT EXISTS (SELECT FROM replaced)::text AS done,
        (SELECT version::text FROM ${target} WHERE key = $1::text AND expires_at > $10) AS version`
  const texts = { opaque: [6, 7], owner: 2 }
  // Expired rows are dropped only after they were read, so that a portion ends however many of them there are.
  const liveColumns = (now: string) => `${HEAD}, CASE WHEN expires_at > ${now} THEN payload END AS payload,
        CASE WHEN expires_at > ${now} THEN encode(payload_bytes, 'base64') END AS payload_bytes`
  return {
    // (key, now). With the casts, another app's table whose key is a number is recognised as such.
    read: named(`
      SELECT ${HEAD}, payload, encode(payload_bytes, 'base64') AS payload_bytes FROM ${target}
      WHERE key = $1::text AND expires_at > $2`),

    // (key, version, owner, createdAt, lastSeenAt, expiresAt, meta, payload, payload as bytes in base64, now)
    create: {
      ...texts,
      ...named(`
      INSERT INTO ${target} AS held
        (key, version, owner, created_at, last_seen_at, expires_at, sweep_at, meta, payload, payload_bytes)
      VALUES ($1::text, $2, $3, $4, $5, $6, $6, $7, $8, decode($9, 'base64'))
      ON CONFLICT (key) DO UPDATE SET
        version = excluded.version, owner = excluded.owner, created_at = excluded.created_at,
        last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at, sweep_at = excluded.sweep_at,
        meta = excluded.meta, payload = excluded.payload, payload_bytes = excluded.payload_bytes
      WHERE held.expires_at <= $10
      RETURNING held.key`),
    },

    // The same and an eleventh, the version to replace -> whether it was replaced, and the live version before this statement
    replace: { ...texts, ...named(replaced) },
    // The same, and notifies the listeners.
    end: {
      ...texts,
      ...named(`${replaced}, (SELECT pg_notify('${channel}', key)::text FROM replaced) AS announced`),
    },

    // (key, version, lastSeenAt, expiresAt, now)
    touch: named(`
      UPDATE ${target} SET
        last_seen_at = greatest(last_seen_at, $3),
        expires_at = CASE WHEN $3 >= last_seen_at THEN $4 ELSE expires_at END,
        sweep_at = CASE WHEN $3 >= last_seen_at THEN least(sweep_at, $4) ELSE sweep_at END
      WHERE key = $1::text AND version = $2 AND expires_at > $5
      RETURNING key`),

    // (key)
    remove: named(`DELETE FROM ${target} WHERE key = $1::text RETURNING key`),
    // The same, and notifies the listeners.
    removeAloud: named(`
      WITH removed AS (DELETE FROM ${target} WHERE key = $1::text RETURNING key)
      SELECT key, pg_notify('${channel}', key)::text AS announced FROM removed`),

    // These have no name: a generic plan, made without the numbers, may read the whole table.
    // (owner, now, the last key of the portion before, how many)
    list: {
      owner: 0,
      text: `
      SELECT ${liveColumns('$2')} FROM ${target}
      WHERE owner = $1::text AND key > $3::text ORDER BY key LIMIT $4`,
    },
    listKeys: {
      owner: 0,
      text: `
      SELECT key, (expires_at > $2)::text AS live FROM ${target}
      WHERE owner = $1::text AND key > $3::text ORDER BY key LIMIT $4`,
    },
    // (now, the last key of the portion before, how many)
    scan: { text: `SELECT ${liveColumns('$1')} FROM ${target} WHERE key > $2::text ORDER BY key LIMIT $3` },
    // (now, how many to look at, how many to remove at most) -> how many were removed, how many postponed
    // SKIP LOCKED: a sweep waits neither for a sweep of another process nor for a request.
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
      SELECT (SELECT count(*) FROM removed)::text AS removed, (SELECT count(*) FROM postponed)::text AS postponed`,
    },
  }
}

/** The name is a hash of the text: behind a pooler, processes share names, so one name must never stand for two texts. */
function named(text: string): { text: string; name: string } {
  return { text, name: `koa-fastsession-${digest(text)}` }
}

function digest(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32)
}

/** The table, ready to stand in a statement. */
function tableName({ table = 'sessions', schema }: PostgresTable): string {
  // PostgreSQL truncates names to 63 bytes: for a longer table name, its indexes would be named like the table.
  checkIdentifier('options.table', table, 56)
  if (schema === undefined) return `"${table}"`
  checkIdentifier('options.schema', schema, 63)
  return `"${schema}"."${table}"`
}
