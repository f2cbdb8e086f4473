// moveSessions between servers: encrypted sessions go from Redis to PostgreSQL and MariaDB and back, each way interrupted.
import test from 'ava'
import type { SessionStore } from '../../src/index.ts'
import { moveSessions } from '../../src/migrate.ts'
import { cookieOf, quick, type Quick } from '../support/quick.ts'
import { closeStores, mysqlStores, postgresStores, redisStores } from '../support/stores.ts'

const kinds = (await Promise.all([redisStores(), postgresStores(), mysqlStores()])).flat()
test.after.always(closeStores)
// All three have a scan.
type Walkable = SessionStore & Required<Pick<SessionStore, 'scan'>>
const places = kinds.map((kind) => ({ name: kind.name, store: kind.open() as Walkable }))

/** Every place after every other: with three of them 0 1 2 0 2 1 0. */
const journey = places.length === 3 ? [0, 1, 2, 0, 2, 1, 0] : places.length === 2 ? [0, 1, 0] : []

const COUNT = 60
const options = { encryptionKeys: ['a secret that encrypts what is moved'], storeTimeout: '20s' } as const

const show = async (app: Quick, cookie: string): Promise<unknown> => {
  const { result } = await app.ask(cookie, ({ origin, owner, publicId, createdAt, maxAge, data }) => {
    return { origin, owner, publicId, createdAt, maxAge, data: { ...data } }
  })
  return result
}

test.serial(
  `encrypted sessions move ${journey.map((at) => places[at]?.name).join(', ')}, each move interrupted and resumed`,
  async (t) => {
    t.timeout(300_000)
    const [first] = places
    if (first === undefined || journey.length === 0) {
      t.pass('there are no two servers on this machine')
      return
    }
    const begun = quick({ ...options, store: first.store })
    const sessions: { cookie: string; state: unknown }[] = []
    for (let at = 0; at < COUNT; at++) {
      const reply = await begun.ask(undefined, async (session) => {
        session.data = { cart: [`item ${at}`], text: 'ünïcode ✓' }
        if (at % 3 === 0) await session.signIn(`owner ${at % 4}`)
        if (at % 5 === 0) session.maxAge = '7d'
        session.flash('notice', `for ${at}`)
      })
      const cookie = cookieOf(reply)
      sessions.push({ cookie, state: await show(begun, cookie) })
    }
    // One that has ended must come back nowhere.
    const ended = cookieOf(await begun.ask(undefined, ({ data }) => (data['views'] = 1)))
    await begun.ask(ended, (session) => session.destroy())

    for (const [at, place] of journey.entries()) {
      const [from, to] = [places[journey[at - 1] ?? -1], places[place]]
      if (from === undefined || to === undefined) continue
      const way = `${from.name} to ${to.name}`
      let moved = 0
      const onProgress = (count: number): void => {
        moved = count
        if (count === 20) throw new Error('interrupted')
      }
      await t.throwsAsync(moveSessions(from.store, to.store, { onProgress }), { message: 'interrupted' }, way)
      t.true(moved >= 20 && moved < COUNT, way)
      const rest = await moveSessions(from.store, to.store)
      t.true(rest > 0 && rest <= COUNT - 20, `${way}: ${rest} after ${moved}`)

      const app = quick({ ...options, store: to.store })
      for (const { cookie, state } of sessions) t.deepEqual(await show(app, cookie), state, way)
      t.like(await show(app, ended), { origin: 'expired' }, way)
      t.is((await app.middleware.list('owner 0')).length, COUNT / 12, way)
      const { records } = await from.store.scan(Date.now(), 200, undefined)
      t.is(records.filter(({ payload }) => payload.length > 0).length, 0, way)
      t.is(await moveSessions(from.store, to.store), 0, way)
    }

    const last = quick({ ...options, store: first.store })
    for (const [at, { cookie }] of sessions.entries())
      t.deepEqual((await last.ask(cookie, (session) => session.flash('notice'))).result, [`for ${at}`])
  },
)
