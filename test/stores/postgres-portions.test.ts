// Portions of a PostgresStore's sessions: complete, one statement each, by an index, and without payloads where only keys
// are asked for.
import test from 'ava'
import pg from 'pg'
import type { SessionRecord } from '../../src/store.ts'
import { PostgresStore, type PostgresClient } from '../../src/stores/postgres.ts'
import { postgres } from '../support/postgres.ts'
import { newRecord, NOW } from '../support/records.ts'

const server = await postgres()
const testWithServer = server === undefined ? test.skip : test
const pool = new pg.Pool({ connectionString: server?.url }).on('error', () => undefined)
pool.on('error', () => undefined) // the server is stopped under it in the end

test.after.always(async () => {
  await pool.end()
  await server?.stop()
})

const run = `p${process.pid.toString(36)}${Date.now().toString(36)}`
let tables = 0
function newTable(): string {
  return `${run}_${tables++}`
}

interface Page<Item> {
  readonly items: readonly Item[]
  readonly cursor: string | undefined
}

async function all<Item>(
  portion: (cursor: string | undefined) => Promise<Page<Item>>,
  between?: () => unknown,
): Promise<Item[]> {
  const found: Item[] = []
  let cursor: string | undefined
  do {
    const page = await portion(cursor)
    found.push(...page.items)
    cursor = page.cursor
    await between?.()
  } while (cursor !== undefined)
  return found
}

const listed = (store: PostgresStore, owner: string, limit: number) =>
  all(async (cursor) => {
    const { records, cursor: next } = await store.list(owner, NOW, limit, cursor)
    return { items: records, cursor: next }
  })
const keysListed = (store: PostgresStore, owner: string, limit: number) =>
  all(async (cursor) => {
    const { keys, cursor: next } = await store.listKeys(owner, NOW, limit, cursor)
    return { items: keys, cursor: next }
  })
const scanned = (store: PostgresStore, limit: number, between?: () => unknown) =>
  all(async (cursor) => {
    const { records, cursor: next } = await store.scan(NOW, limit, cursor)
    return { items: records, cursor: next }
  }, between)

testWithServer('portions of every size give each live session once, and no other', async (t) => {
  const store = new PostgresStore(pool, { table: newTable() })
  const make = (count: number, fields: Partial<SessionRecord>) =>
    Array.from({ length: count }, () => newRecord({ meta: undefined, ...fields }))
  const [mine, others, anonymous] = [make(120, { owner: 'ada' }), make(30, { owner: 'bob' }), make(30, {})]
  const over = make(100, { owner: 'ada', expiresAt: NOW })
  for (const record of [...mine, ...over, ...others, ...anonymous]) await store.create(record, NOW - 1)
  const sorted = (records: readonly SessionRecord[]) => [...records].sort((a, b) => (a.key < b.key ? -1 : 1))

  for (const limit of [1, 7, 120, 121, 1000]) {
    t.deepEqual(await listed(store, 'ada', limit), sorted(mine), `list by ${limit}`)
    t.deepEqual(
      await keysListed(store, 'ada', limit),
      sorted(mine).map(({ key }) => key),
      `listKeys by ${limit}`,
    )
    t.deepEqual(await scanned(store, limit), sorted([...mine, ...others, ...anonymous]), `scan by ${limit}`)
  }
})

testWithServer('a session that lives through a scan comes once, whatever else comes and goes', async (t) => {
  const store = new PostgresStore(pool, { table: newTable() })
  const living = Array.from({ length: 100 }, () => newRecord())
  const going = Array.from({ length: 100 }, () => newRecord())
  for (const record of [...living, ...going]) await store.create(record, NOW)
  let round = 0

  const seen = await scanned(store, 10, async () => {
    for (const { key } of going.splice(0, 10)) await store.delete(key)
    await store.create(newRecord(), NOW)
    const touched = living[round++ % living.length]
    if (touched !== undefined) await store.touch(touched.key, 1, NOW + round, NOW + 1000 + round, NOW)
  })

  const count = new Map<string, number>()
  for (const { key } of seen) count.set(key, (count.get(key) ?? 0) + 1)
  t.deepEqual([...new Set(living.map(({ key }) => count.get(key)))], [1])
})

testWithServer(
  'a portion is one statement, found by an index and not sorted; that of keys reads no payload',
  async (t) => {
    const table = newTable()
    const sent: { text: string; values?: unknown[] }[] = []
    const spy: PostgresClient = {
      query: (query) => {
        sent.push(query)
        return pool.query(query)
      },
    }
    const store = new PostgresStore(spy, { table })
    await store.read('a', NOW)
    await pool.query(
      `INSERT INTO ${table} (key, version, owner, created_at, last_seen_at, expires_at, sweep_at, payload)
     SELECT md5(n::text), 1, 'owner ' || n % 20, 0, 0, ${NOW + 1000}, ${NOW + 1000}, repeat('x', 300)
     FROM generate_series(1, 20000) AS n`,
    )
    await pool.query(`ANALYZE ${table}`)
    sent.length = 0

    t.is((await store.list('owner 1', NOW, 100, '5')).records.length, 100)
    t.is((await store.listKeys('owner 1', NOW, 100, '5')).keys.length, 100)
    t.is((await store.scan(NOW, 100, '5')).records.length, 100)

    t.is(sent.length, 3)
    for (const { text, values } of sent) {
      const { rows } = await pool.query({ text: `EXPLAIN ${text}`, values: values ?? [] })
      const plan = JSON.stringify(rows)
      t.regex(plan, /Index Scan/)
      t.notRegex(plan, /Sort|Seq Scan/)
    }
    t.false(sent[1]?.text.includes('payload'))
  },
)
