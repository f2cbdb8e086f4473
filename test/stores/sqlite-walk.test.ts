// destroyAll over a SqliteStore: a portion of up to 200 sessions is read in batches (16 rows at first), with turns of the event loop
// between. A session that gets a new id there, from a later batch into an earlier one, is in neither.
import { join } from 'node:path'
import test from 'ava'
import { newRecord } from '../../src/conformance/scene.ts'
import { session, type SessionRecord } from '../../src/index.ts'
import { tombstoneOf } from '../../src/record/record.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { KEYS } from '../support/app.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers } from '../support/sqlite.ts'

const [OLD, NEW] = ['z'.repeat(43), '-'.repeat(43)]

for (const driver of drivers) {
  const stage = async (verb: 'list' | 'listKeys') => {
    const path = join(temporaryFolder(), 'sessions.db')
    const now = Date.now()
    const neighbour = new SqliteStore(driver.open(path)) // another process
    const ofAda = (key: string): SessionRecord => newRecord(now, { key, payload: '{"count":0}', owner: 'ada' })
    for (let at = 0; at < 40; at++) await neighbour.create(ofAda(`${at}`.padStart(43, 'm')), now)
    await neighbour.create(ofAda(OLD), now)
    const own = driver.open(path)
    let looks = 0
    const move = (): void => {
      // What regenerate() does, in its order.
      void neighbour.create({ ...ofAda(NEW), meta: JSON.stringify({ p: OLD }) }, now)
      void neighbour.replace(tombstoneOf(ofAda(OLD), NEW, now), 1, now)
    }
    const isLook = (sql: string): boolean =>
      (verb === 'list'
        ? /AS payload FROM "sessions" AS held WHERE owner = \?/
        : /AS live FROM "sessions" AS held WHERE owner = \?/
      ).test(sql)
    const store = new SqliteStore({
      exec: (sql) => own.exec(sql),
      prepare: (sql) => {
        const statement = own.prepare(sql)
        return {
          run: (...values: unknown[]) => statement.run(...values),
          get: (...values: unknown[]) => statement.get(...values),
          all: (...values: unknown[]) => {
            if (isLook(sql) && ++looks === 2) move()
            return statement.all(...values)
          },
        }
      },
    })
    return { middleware: session<{ count?: number }>({ store, keys: KEYS, logger: {} }), neighbour }
  }

  test(`${driver.name}: destroyAll ends a session of 41 that gets a new id while they are read`, async (t) => {
    const { middleware, neighbour } = await stage('list')

    await middleware.destroyAll('ada')

    t.is((await neighbour.read(NEW, Date.now()))?.payload ?? '', '')
    t.deepEqual(await middleware.list('ada'), [])
    await middleware.close()
  })

  test(`${driver.name}: updateAll reaches a session of 41 that gets a new id while their keys are read`, async (t) => {
    const { middleware, neighbour } = await stage('listKeys')

    await middleware.updateAll('ada', (data) => (data.count = (data.count ?? 0) + 1))

    t.regex(String((await neighbour.read(NEW, Date.now()))?.payload), /"count":1/)
    await middleware.close()
  })
}
