// What the clients of a PostgresStore other than plain pg put into their errors: PGlite the values of the statement, pg.native the
// server's DETAIL in the stack, postgres.js (with `debug`) the parameters.
import { inspect } from 'node:util'
import { PGlite } from '@electric-sql/pglite'
import test from 'ava'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { found } from '../support/found.ts'
import { cookieOf, quick } from '../support/quick.ts'
import { newRecord, NOW } from '../support/records.ts'

const DATA = 'hunter2 hunter2'
const OWNER = 'ada@example.org'

const printed = (value: unknown): Buffer => Buffer.from(inspect(value, { depth: Infinity, showHidden: true }))

// Alone, as the other test with PGlite: it starts without letting anything else happen.
test.serial('PGlite: the errors of a check on the payload show no owner or data', async (t) => {
  t.timeout(300_000)
  const database = new PGlite()
  t.teardown(() => database.close())
  const app = quick({ store: new PostgresStore(database) })
  const cookie = cookieOf(await app.ask(undefined, (session) => session.signIn(OWNER)))
  await database.exec("ALTER TABLE sessions ADD CHECK (payload NOT LIKE '%password%')")

  const reply = await app.ask(cookie, ({ data }) => (data['password'] = DATA))

  t.is(reply.status, 503)
  t.is(app.errors.length, 1)
  t.deepEqual(found(printed(app.errors), { data: DATA, owner: OWNER }), [])
})

test('errors of a client that carry values or the text of a row are not passed on with them', async (t) => {
  const row = `Failing row contains (1, ${OWNER}, {"password":"${DATA}"}).`
  const clients: Readonly<Record<string, () => Error>> = {
    'pg.native, whose stack has the whole text of the server': () =>
      Object.assign(new Error(`ERROR:  new row violates a check\nDETAIL:  ${row}\n`), {
        message: 'new row violates a check',
        code: '23514',
        detail: row,
      }),
    'postgres.js with debug': () =>
      Object.defineProperties(Object.assign(new Error('new row violates a check'), { code: '23514', detail: row }), {
        query: { value: 'UPDATE sessions', enumerable: true },
        parameters: { value: ['key', OWNER, `{"password":"${DATA}"}`], enumerable: true },
        args: { value: ['key', OWNER, `{"password":"${DATA}"}`], enumerable: true },
      }),
  }
  for (const [name, failure] of Object.entries(clients)) {
    const store = new PostgresStore({ query: () => Promise.reject(failure()) })
    const error = await t.throwsAsync<Error & { code?: string }>(store.create(newRecord({ owner: OWNER }), NOW))
    t.is(error.code, '23514', name)
    t.deepEqual(found(printed(error), { data: DATA, owner: OWNER }), [], name)
  }
})
