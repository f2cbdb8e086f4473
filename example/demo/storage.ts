// Where the shop keeps things: in a SQLite file where this Node has node:sqlite, else in memory.
import { randomBytes } from 'node:crypto'
import { MemoryStore, type SessionStore } from 'koa-fastsession'
import { SqliteStore, type SqliteDatabase } from 'koa-fastsession/sqlite'
import { MemoryShelf, SqliteShelf, Users } from './users.ts'

export interface Storage {
  readonly where: string
  readonly store: SessionStore
  readonly users: Users
  /** What signs the cookies. */
  readonly keys: readonly string[]
  close(): void
}

type Database = SqliteDatabase & { close(): void }

// Types of the oldest supported Node do not know this module.
const sqlite = process.getBuiltinModule('node:sqlite' as 'node:fs') as unknown as
  { DatabaseSync: new (path: string) => Database } | undefined

export function openStorage(file: string): Storage {
  const secret = randomBytes(32).toString('base64url')
  if (sqlite === undefined) {
    return {
      where: 'in memory, until it stops',
      store: new MemoryStore(),
      users: new Users(new MemoryShelf()),
      keys: [secret],
      close: () => undefined,
    }
  }
  // Two connections: the store wants one of its own, which no transaction of the app holds up.
  const [database, connection] = [new sqlite.DatabaseSync(file), new sqlite.DatabaseSync(file)]
  return {
    where: `in ${file}`,
    store: new SqliteStore(connection),
    users: new Users(new SqliteShelf(database)),
    keys: [keptSecret(database, secret)],
    close() {
      connection.close()
      database.close()
    },
  }
}

/**
 * The secret of the first start: cookies outlive a restart, as the sessions do.
 *
 * That is fit for a demo alone. Whoever reads this file could sign cookies; a real site takes its secret from elsewhere.
 */
function keptSecret(database: Database, fresh: string): string {
  database.exec('CREATE TABLE IF NOT EXISTS secrets (place INTEGER PRIMARY KEY, secret TEXT NOT NULL)')
  database.prepare('INSERT INTO secrets (place, secret) VALUES (1, ?) ON CONFLICT DO NOTHING').run(fresh)
  return (database.prepare('SELECT secret FROM secrets WHERE place = 1').get() as { secret: string }).secret
}
