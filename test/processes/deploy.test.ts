// A rolling deploy of this version over the one before, and back: both serve the same browsers over one database, while
// they go on changing their sessions. And keys that are rotated from process to process.
import test from 'ava'
import { Deploy, launch, stopAll, Visitor, type Orders, type Outcome, type Told } from '../support/deploy.ts'
import { postgres } from '../support/postgres.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { built, PREVIOUS, release } from '../support/releases.ts'

interface Shared {
  readonly name: string
  readonly store: Orders['store']
  readonly stop: () => Promise<unknown>
}

async function redisServer(): Promise<Shared[]> {
  const [make] = redisMakes()
  if (make === undefined) return []
  const { port, running } = await startRedis(make)
  return [{ name: 'Redis', store: { redis: port }, stop: () => running.stop() }]
}

async function postgresServer(): Promise<Shared[]> {
  const server = await postgres()
  return server === undefined
    ? []
    : [{ name: 'PostgreSQL', store: { postgres: server.url }, stop: () => server.stop() }]
}

const stores = (await Promise.all([redisServer(), postgresServer()])).flat()
test.after.always(async () => {
  await stopAll()
  await Promise.all(stores.map(({ stop }) => stop()))
})

const previous = release(PREVIOUS)
const KEYS = ['the secret of a deploy, which is long enough']
const NOTHING = { lost: [], loggedOut: [], failed: [] }

function inWords({ requests, lost, loggedOut, failed }: Outcome): string {
  return `${requests} requests, ${lost.length} changes lost, ${loggedOut.length} logged out, ${failed.length} failed`
}

for (const { name, store } of stores) {
  const old: Orders = { app: previous, store, keys: KEYS }
  const next: Orders = { app: built, store, keys: KEYS }

  test.serial(
    `${name}: a rolling deploy from ${PREVIOUS} and a rollback lose no change and log nobody out`,
    async (t) => {
      t.timeout(300_000)
      const deploy = await Deploy.begin([old, old])
      t.teardown(() => deploy.close())
      await deploy.further(11)
      for (const [place, orders] of [
        [0, next],
        [1, next],
        [0, old],
        [1, old],
        [1, next],
      ] as const) {
        await deploy.replace(place, orders)
        await deploy.further(11)
      }
      const outcome = await deploy.end()

      t.log(inWords(outcome))
      t.like(outcome, NOTHING)
      t.true(outcome.requests >= 4 * 66)
    },
  )

  test.serial(`${name}: ${PREVIOUS} and this version agree on one session, whichever of them changes it`, async (t) => {
    t.timeout(300_000)
    const servers = await Promise.all([launch(old), launch(next)])
    t.teardown(() => Promise.all(servers.map((server) => server.stop())))

    for (const [one, other] of [servers, [servers[1], servers[0]]] as const) {
      const visitor = new Visitor()
      await visitor.ask(one, '/put/cart')
      await visitor.ask(one, '/login/ada')
      await visitor.ask(one, '/remember')
      await visitor.ask(one, '/say/welcome')
      t.like(await visitor.ask(other, '/look'), {
        origin: 'resumed',
        owner: 'ada',
        data: { cart: 'cart' },
        setCookie: [],
      })
      t.deepEqual((await visitor.ask(other, '/hear')).result, ['welcome'])
      t.deepEqual((await visitor.ask(one, '/hear')).result, [])

      const counts = await Promise.all(
        Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? one : other).ask('/increment/n', visitor.cookie)),
      )
      t.deepEqual(
        counts.map(({ result }) => Number(result)).sort((a, b) => a - b),
        Array.from({ length: 40 }, (_, at) => at + 1),
      )
      const before = visitor.cookie
      await visitor.ask(one, '/again')
      t.not(visitor.cookie, before)
      t.is((await other.ask('/look', before)).origin, 'expired')
      t.like(await visitor.ask(other, '/look'), { origin: 'resumed', owner: 'ada', data: { cart: 'cart', n: 40 } })

      const theirs = visitor.cookie
      await visitor.ask(one, '/logout')
      t.is(visitor.cookie, '')
      for (const server of servers) t.like(await server.ask('/look', theirs), { origin: 'expired', data: {} })
    }
  })

  test.serial(`${name}: this version reads what ${PREVIOUS} encrypted, and goes on with it`, async (t) => {
    t.timeout(300_000)
    const encryptionKeys = ['what encrypts the sessions of a deploy']
    const deploy = await Deploy.begin([
      { ...old, encryptionKeys },
      { ...old, encryptionKeys },
    ])
    t.teardown(() => deploy.close())
    await deploy.further(11)
    // Encrypted sessions need all processes on one version: both are replaced before either serves on.
    const visitors = await Promise.all(
      [1, 2, 3].map(async (at) => {
        const visitor = new Visitor()
        await visitor.ask(deploy.places[at % 2] ?? t.fail(), `/login/visitor${at}`)
        await visitor.ask(deploy.places[0] ?? t.fail(), '/put/cart')
        return visitor
      }),
    )
    t.like(await deploy.end(), NOTHING)
    await deploy.replace(0, { ...next, encryptionKeys })
    await deploy.replace(1, { ...next, encryptionKeys })

    for (const [at, visitor] of visitors.entries())
      for (const place of [0, 1]) {
        const told: Told = await visitor.ask(deploy.places[place] ?? t.fail(), '/increment/n')
        t.like(told, { owner: `visitor${at + 1}`, data: { cart: 'cart', n: place + 1 } })
      }
  })
}

// ---- keys

const [OLD, NEW] = ['the secret that signed until now, long enough', 'the secret that signs from now on, long enough']
const steps: readonly (readonly string[])[] = [[OLD, NEW], [NEW, OLD], [NEW]]

for (const [what, withKeys] of Object.entries({
  'a signing key': (orders: Orders, keys: readonly string[]): Orders => ({ ...orders, keys }),
  'an encryption key': (orders: Orders, encryptionKeys: readonly string[]): Orders => ({ ...orders, encryptionKeys }),
}))
  for (const { store } of stores.slice(0, 1)) {
    const orders: Orders = { app: built, store, keys: KEYS }

    test.serial(`${what} is rotated in three steps through two processes, and nobody is logged out`, async (t) => {
      t.timeout(300_000)
      const first = withKeys(orders, [OLD])
      const deploy = await Deploy.begin([first, first])
      t.teardown(() => deploy.close())
      await deploy.further(6)
      for (const keys of steps)
        for (const place of [0, 1]) {
          await deploy.replace(place, withKeys(orders, keys))
          await deploy.further(6)
        }
      const outcome = await deploy.end()

      t.log(inWords(outcome))
      t.like(outcome, NOTHING)
    })

    test.serial(`${what} that is put in front at once is unknown to the process of before`, async (t) => {
      t.timeout(300_000)
      const [before, after] = await Promise.all([launch(withKeys(orders, [OLD])), launch(withKeys(orders, [NEW, OLD]))])
      t.teardown(() => Promise.all([before.stop(), after.stop()]))
      const visitor = new Visitor()
      await visitor.ask(after, '/put/cart')

      // Signed by an unknown key it is a stranger's; under an unknown encryption key it is an outage, and nobody's end.
      const told = await before.ask('/look', visitor.cookie)
      if (what === 'a signing key') t.like(told, { status: 200, origin: 'invalid', data: {} })
      else t.is(told.status, 503)
      t.deepEqual(told.setCookie, [])
      t.like(await visitor.ask(after, '/look'), { origin: 'resumed', data: { cart: 'cart' } })
    })
  }
