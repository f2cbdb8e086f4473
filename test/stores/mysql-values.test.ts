// What a MysqlStore keeps of a record, and what it says of what it cannot keep.
import { inspect } from 'node:util'
import test from 'ava'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { CorruptRecord, type SessionRecord } from '../../src/store.ts'
import { FOREIGN_DEFAULTS, ODD_OPTIONS, openMysql, unprepared } from '../support/mysql-clients.ts'
import { keyed, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { clients, testWithServer, stop } = await openMysql([...FOREIGN_DEFAULTS, '--max-allowed-packet=16M'])
const pool = clients.pool()
test.after.always(stop)

testWithServer('text of every kind comes back as it was, and finds its owner', async (t) => {
  const store = new MysqlStore(clients.pool(ODD_OPTIONS), { table: freshName() })
  const emoji = '\u{1f600}'
  const texts = [
    'a\0b',
    '\0',
    '\ud800',
    'x\udfffy',
    '\u0001',
    '\u0001"x"',
    '\u0001\0',
    "'; DROP TABLE x; -- ?",
    '\\',
    '?',
  ]
  const longest = [emoji.repeat(127) + 'x', '\0'.repeat(255), '\udfff'.repeat(255), '\uffff'.repeat(255)]
  for (const [index, text] of [...texts, ...longest, ' ', 'a', 'a ', 'A', 'ä', 'a\u0308', '\ufeffa'].entries()) {
    const odd = keyed(`key${index}`, { payload: text, owner: text, meta: text })

    t.true(await store.create(odd, NOW))

    t.deepEqual(await store.read(odd.key, NOW), odd)
    t.deepEqual(await store.list(text, NOW, 100, undefined), { records: [odd], cursor: undefined })
    t.deepEqual(await store.listKeys(text, NOW, 100, undefined), { keys: [odd.key], cursor: undefined })
  }
})

testWithServer('keys are the same only byte for byte', async (t) => {
  const store = new MysqlStore(pool, { table: freshName() })
  const keys = ['a', 'A', 'a ', 'á', 'a\0', "a'", 'a"', 'a`']

  for (const key of keys) t.true(await store.create(keyed(key, { payload: key }), NOW), key)

  for (const key of keys) t.is((await store.read(key, NOW))?.payload, key)
})

testWithServer('a payload of megabytes comes back, as text and as bytes', async (t) => {
  const store = new MysqlStore(pool, { table: freshName() })
  const bytes = new Uint8Array(3_000_000).map((_, at) => at % 251)
  for (const payload of ['ü'.repeat(1_500_000), bytes, '', new Uint8Array()]) {
    const large = keyed(`key${payload.length}${typeof payload}`, { payload })

    await store.create(large, NOW)

    t.deepEqual(await store.read(large.key, NOW), large)
  }
})

testWithServer('a payload above max_allowed_packet is an error with its code, and the next call works', async (t) => {
  const store = new MysqlStore(clients.pool({ connectionLimit: 1 }), { table: freshName() })
  await store.create(keyed('a'), NOW)

  const error = await t.throwsAsync(store.replace(keyed('a', { version: 2, payload: 'x'.repeat(17_000_000) }), 1, NOW))

  // The server says so and hangs up: where it does while the client still sends, the client may not come to read it.
  t.regex(String((error as Error & { code: unknown }).code), /^(?:ER_NET_PACKET_TOO_LARGE|ECONNRESET|EPIPE)$/)
  t.deepEqual(await store.read('a', NOW), keyed('a'))
})

testWithServer('what the table cannot hold is refused, also where the server would cut it', async (t) => {
  const store = new MysqlStore(clients.pool({}, ["sql_mode = ''"]), { table: freshName() })
  const wrong: Partial<SessionRecord>[] = [
    { key: 'k'.repeat(256) },
    { owner: 'x'.repeat(1601) },
    { meta: 'x'.repeat(2 ** 24) },
    { version: 2 ** 53 },
    { expiresAt: NOW + 0.5 },
    { lastSeenAt: NaN },
    { createdAt: Infinity },
  ]
  for (const changes of wrong) {
    await t.throwsAsync(store.create(keyed('a', changes), NOW), { instanceOf: RangeError })
  }
  t.deepEqual(await store.scan(NOW, 10, undefined), { records: [], cursor: undefined })
})

testWithServer('an error shows no key, owner or data, prepared or not, and keeps its code', async (t) => {
  const table = freshName()
  await pool.query(`CREATE TABLE ${table} (\`key\` INT PRIMARY KEY, owner INT NOT NULL)`)
  for (const client of [pool, unprepared(pool)]) {
    const store = new MysqlStore(client, { table })
    const secret = keyed('a-secret-key', {
      owner: 'a-secret-owner',
      payload: 'a-secret-payload',
      meta: 'a-secret-note',
    })

    const error = await t.throwsAsync(store.create(secret, NOW))

    t.regex(error.message, /another table.*ER_BAD_FIELD_ERROR.*options\.table/)
    t.like(error, { code: 'ERR_SESSION_STORE' })
    const cause = error.cause as Error
    t.like(cause, { code: 'ER_BAD_FIELD_ERROR', errno: 1054, sqlState: '42S22' })
    const shown = `${inspect(error, { depth: 5, showHidden: true })} ${inspect(cause, { showHidden: true })}`
    t.false(/secret|INSERT/.test(shown) || shown.includes(Buffer.from('a-secret').toString('hex')))
  }
})

testWithServer('a row that is not what was written is one ended session, and the rest can be listed', async (t) => {
  const table = freshName()
  const store = new MysqlStore(clients.pool({ supportBigNumbers: false }), { table })
  const damages = [
    'version = 9007199254740993',
    'version = 9223372036854775807',
    'expires_at = 9223372036854775807',
    'created_at = -9223372036854775808',
    "payload = X'ff'",
    "meta = X'c328'",
  ]
  await store.create(keyed('whole', { owner: 'ada' }), NOW)
  for (const [index, damage] of damages.entries()) {
    await store.create(keyed(`key${index}`, { owner: 'ada' }), NOW)
    await pool.query(`UPDATE ${table} SET ${damage} WHERE \`key\` = 'key${index}'`)

    await t.throwsAsync(store.read(`key${index}`, NOW), { instanceOf: CorruptRecord }, damage)
  }

  t.deepEqual((await store.list('ada', NOW, 100, undefined)).records, [keyed('whole', { owner: 'ada' })])
  t.deepEqual((await store.scan(NOW, 100, undefined)).records, [keyed('whole', { owner: 'ada' })])
  t.is((await store.listKeys('ada', NOW, 100, undefined)).keys.length, damages.length + 1)
})
