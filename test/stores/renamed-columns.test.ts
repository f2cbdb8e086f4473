// A client that gives columns other names than the statements do is a failure, and ends nobody's session.
import test, { type ExecutionContext } from 'ava'
import type { SessionStore } from '../../src/store.ts'
import { MysqlStore, type MysqlConnection } from '../../src/stores/mysql.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { libsql } from '../support/sqlite.ts'

async function fails(t: ExecutionContext, { read, list, listKeys, scan }: Required<Verbs>): Promise<void> {
  const verbs = {
    read: () => read('a', NOW),
    list: () => list('ada', NOW, 10, undefined),
    listKeys: () => listKeys('ada', NOW, 10, undefined),
    scan: () => scan(NOW, 10, undefined),
  }
  for (const [verb, call] of Object.entries(verbs))
    await t.throwsAsync(async () => call(), { code: 'ERR_SESSION_STORE', message: /columns/ }, verb)
}

type Verbs = Pick<SessionStore, 'read' | 'list' | 'listKeys' | 'scan'>

function verbsOf(store: Required<Verbs>): Required<Verbs> {
  return {
    read: store.read.bind(store),
    list: store.list.bind(store),
    listKeys: store.listKeys.bind(store),
    scan: store.scan.bind(store),
  }
}

test('MysqlStore: columns that begin with a capital', async (t) => {
  const row = { Key: Buffer.from('a'), version: '1', createdAt: '1', lastSeenAt: '1', expiresAt: String(NOW + 1000) }
  const answer = () => Promise.resolve<[unknown, unknown]>([[row], []])
  const client: MysqlConnection = { execute: answer, query: answer }

  await fails(t, verbsOf(new MysqlStore(client)))
})

test('SqliteStore: columns with the name of their table', async (t) => {
  const database = libsql.open(':memory:')
  const store = new SqliteStore({
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql)
      const named = (row: unknown) =>
        Object.fromEntries(Object.entries(row as object).map(([name, value]) => [`sessions.${name}`, value as unknown]))
      if (!sql.includes('FROM "sessions"')) return statement
      return {
        run: (...values: unknown[]) => statement.run(...values),
        get: (...values: unknown[]) => named(statement.get(...values)),
        all: (...values: unknown[]) => statement.all(...values).map(named),
      }
    },
  })
  await store.create(newRecord({ key: 'a', owner: 'ada' }), NOW)

  await fails(t, verbsOf(store))
})

const camel = (row: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value as unknown,
    ]),
  )

test('MysqlStore: columns in camel case, as a client names them that converts them', async (t) => {
  const stored = {
    key: Buffer.from('a'),
    version: '1',
    owner: null,
    created_at: '1',
    last_seen_at: '1',
    expires_at: String(NOW + 1000),
    meta: null,
    payload: Buffer.from('{}'),
    payload_bytes: null,
  }
  const answers = (row: object): MysqlConnection => {
    const answer = () => Promise.resolve<[unknown, unknown]>([[row], []])
    return { execute: answer, query: answer }
  }
  t.is((await new MysqlStore(answers(stored)).read('a', NOW))?.payload, '{}')

  const error = { code: 'ERR_SESSION_STORE', message: /columns/ }
  await t.throwsAsync(new MysqlStore(answers(camel(stored))).read('a', NOW), error)
  for (const column of Object.keys(stored)) {
    const rest = Object.fromEntries(Object.entries(stored).filter(([name]) => name !== column))
    const whole = column === 'payload_bytes' ? { ...rest, payload: null } : rest
    await t.throwsAsync(new MysqlStore(answers(whole)).read('a', NOW), error, column)
  }
})

test('SqliteStore: columns in camel case, as a database names them that converts them', async (t) => {
  const database = libsql.open(':memory:')
  let named = camel
  const store = new SqliteStore({
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql)
      if (!sql.includes('FROM "sessions"')) return statement
      return {
        run: (...values: unknown[]) => statement.run(...values),
        get: (...values: unknown[]) => named(statement.get(...values) as object),
        all: (...values: unknown[]) => statement.all(...values).map((row) => named(row as object)),
      }
    },
  })
  await store.create(newRecord({ key: 'a', owner: 'ada' }), NOW)

  const error = { code: 'ERR_SESSION_STORE', message: /columns/ }
  await t.throwsAsync(async () => store.read('a', NOW), error)
  await t.throwsAsync(store.list('ada', NOW, 10, undefined), error)
  await t.throwsAsync(store.scan(NOW, 10, undefined), error)
  for (const column of ['key', 'version', 'owner', 'created_at', 'last_seen_at', 'expires_at', 'meta', 'payload']) {
    named = (row) => Object.fromEntries(Object.entries(row).filter(([name]) => name !== column))
    await t.throwsAsync(async () => store.read('a', NOW), error, column)
  }
})
