// The options of the stores, as those of session(): what is no object of options is refused, and not taken for no options at all.
import test from 'ava'
import { MemoryStore } from '../../src/index.ts'
import { MysqlStore, mysqlSchema } from '../../src/stores/mysql.ts'
import { PostgresStore, postgresSchema } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore, sqliteSchema } from '../../src/stores/sqlite.ts'

const client = {
  sendCommand: () => Promise.resolve(null),
  query: () => Promise.resolve({ rows: [] }),
  execute: () => Promise.resolve([]),
  exec: () => undefined,
  prepare: () => undefined,
}

const takers: Readonly<Record<string, (options: never) => unknown>> = {
  MemoryStore: (options) => new MemoryStore(options),
  SqliteStore: (options) => new SqliteStore(client as never, options),
  RedisStore: (options) => new RedisStore(client, options),
  PostgresStore: (options) => new PostgresStore(client, options),
  MysqlStore: (options) => new MysqlStore(client as never, options),
  sqliteSchema,
  postgresSchema,
  mysqlSchema,
}

for (const [name, taker] of Object.entries(takers))
  test(`${name} refuses a promise of options, a Map and a Date`, (t) => {
    for (const options of [
      Promise.resolve({ prefix: 'shop:', table: 'shop' }),
      new Map([['table', 'shop']]),
      new Date(),
    ])
      t.throws(() => taker(options as never), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /^options must be an object with /,
      })
    t.notThrows(() => taker({} as never))
    t.notThrows(() => taker(Object.create(null) as never))
  })
