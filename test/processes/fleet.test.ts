// Several processes over one store: what one of them does counts in all. Four of node:cluster serve one port, on each
// store that processes can share.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { MOST, startFleet, type Fleet, type Told } from '../support/fleet.ts'
import type { End, Shared } from '../support/fleet-worker.ts'
import { mysqlServer } from '../support/mysql.ts'
import { postgres } from '../support/postgres.ts'
import { redisMakes, startCluster, startRedis } from '../support/redis.ts'
import { freshName, temporaryFolder } from '../support/service.ts'
import { libsql, nodeSqlite } from '../support/sqlite.ts'

interface SharedStore {
  readonly name: string
  readonly shared: Shared
  readonly stop?: () => Promise<unknown>
}

function sqliteStore(): SharedStore {
  const { name: driver } = nodeSqlite ?? libsql
  return {
    name: `SqliteStore over ${driver}`,
    shared: { kind: 'sqlite', driver, path: join(temporaryFolder(), 'sessions.db') },
  }
}

async function redisStores(): Promise<SharedStore[]> {
  const [make] = redisMakes()
  if (make === undefined) return []
  const [single, nodes] = await Promise.all([startRedis(make), startCluster(make)])
  return [
    { name: 'RedisStore', shared: { kind: 'redis', port: single.port }, stop: () => single.running.stop() },
    {
      name: 'RedisStore in a Cluster',
      shared: { kind: 'redis cluster', ports: nodes.map(({ port }) => port) },
      stop: () => Promise.all(nodes.map(({ running }) => running.stop())),
    },
  ]
}

async function postgresStores(): Promise<SharedStore[]> {
  const server = await postgres()
  const table = freshName()
  return server === undefined
    ? []
    : [{ name: 'PostgresStore', shared: { kind: 'postgres', url: server.url, table }, stop: () => server.stop() }]
}

async function mysqlStores(): Promise<SharedStore[]> {
  const server = await mysqlServer()
  const table = freshName()
  return server === undefined
    ? []
    : [{ name: 'MysqlStore', shared: { kind: 'mysql', url: server.uri, table }, stop: () => server.stop() }]
}

// One fleet at a time: four processes are many for a small machine.
let running: { readonly shared: Shared; readonly fleet: Fleet } | undefined
async function fleetOf(shared: Shared): Promise<Fleet> {
  if (running?.shared === shared) return running.fleet
  await running?.fleet.close()
  running = undefined
  const fleet = await startFleet(shared)
  running = { shared, fleet }
  return fleet
}

const stores = [sqliteStore(), ...(await Promise.all([redisStores(), postgresStores(), mysqlStores()])).flat()]
test.after.always(async () => {
  await running?.fleet.close()
  await Promise.all(stores.map(async ({ stop }) => stop?.()))
})

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const counted = (values: readonly unknown[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const value of values) counts[String(value)] = (counts[String(value)] ?? 0) + 1
  return counts
}

// The processes of SQLite take turns at writing, and a turn that does not come within the deadline is an outage.
const SIGN_INS: Readonly<Partial<Record<Shared['kind'], number>>> = { sqlite: 12 }

for (const { name, shared } of stores) {
  test.serial(`${name}: of 200 increments through four processes at once each counts`, async (t) => {
    const fleet = await fleetOf(shared)
    const cookie = await fleet.begin('/put/begun')
    const began = performance.now()

    // Eight at a time: each tries for ten seconds at most, in which a slow machine does not serve hundreds.
    const senders = numbers(8).map(async () => {
      const told: (Told | undefined)[] = []
      while (told.length < 25) told.push(await fleet.send('/increment/count', cookie))
      return told
    })
    const answers = (await Promise.all(senders)).flat()

    t.log(
      `200 in ${Math.round(performance.now() - began)} ms, by process ${Object.values(counted(answers.map((told) => told?.process))).join(', ')}`,
    )
    t.deepEqual(counted(answers.map((told) => told?.status)), { 200: 200 })
    t.is(new Set(answers.map((told) => told?.process)).size, 4)
    t.deepEqual(
      answers.map((told) => told?.body).sort((a, b) => Number(a) - Number(b)),
      numbers(200).map((number) => number + 1),
    )
    for (const { body } of await fleet.ofEach('/look', cookie))
      t.deepEqual(body, { origin: 'resumed', data: { begun: 'begun', count: 200 } })
  })

  test.serial(`${name}: 40 keys that four processes put at once are all kept`, async (t) => {
    const fleet = await fleetOf(shared)
    const cookie = await fleet.begin('/put/begun')
    const names = ['begun', ...numbers(40).map((number) => `key${number}`)]

    const answers = await Promise.all(names.map((key) => fleet.send(`/put/${key}`, cookie)))

    t.deepEqual(counted(answers.map((told) => told?.status)), { 200: 41 })
    t.is(new Set(answers.map((told) => told?.process)).size, 4)
    const data = Object.fromEntries(names.map((key) => [key, key]))
    for (const { body } of await fleet.ofEach('/look', cookie)) t.deepEqual(body, { origin: 'resumed', data })
  })

  test.serial(
    `${name}: a logout in one process ends the session for the writers that are under way in all`,
    async (t) => {
      const fleet = await fleetOf(shared)
      const cookie = await fleet.begin('/login/ada')
      const held = numbers(16).map((number) => fleet.send(`/hold/key${number}`, cookie))
      await fleet.held(16)

      const logout = await fleet.send('/logout', cookie)
      fleet.release()
      const late = await Promise.all(held)

      t.is(logout?.status, 200)
      t.deepEqual(counted(late.map((told) => told?.status)), { 409: 16 })
      t.deepEqual(
        late.flatMap((told) => told?.setCookie),
        [],
      )
      for (const { body } of await fleet.ofEach('/look', cookie)) t.deepEqual(body, { origin: 'expired', data: {} })
    },
  )

  test.serial(`${name}: a logout that races with writers in all processes stays`, async (t) => {
    const fleet = await fleetOf(shared)
    const cookie = await fleet.begin('/login/ada')
    const paths = numbers(60).map((number) =>
      number === 20 ? '/logout' : number % 2 === 0 ? `/put/key${number}` : '/increment/count',
    )

    const answers = await Promise.all(paths.map((path) => fleet.send(path, cookie)))

    t.is(answers[20]?.status, 200)
    // Before the logout they were kept, during it refused; after it they began a session of their own, with a cookie.
    t.deepEqual(
      answers.filter((told) => told?.status !== 200 && told?.status !== 409),
      [],
    )
    for (const { body } of await fleet.ofEach('/look', cookie)) t.deepEqual(body, { origin: 'expired', data: {} })
  })

  test.serial(
    `${name}: of ${SIGN_INS[shared.kind] ?? 50} parallel sign-ins of one owner through four processes no more than the limit live, and each other one is told once`,
    async (t) => {
      const fleet = await fleetOf(shared)
      // None of them is a session's: whoever asks has no cookie.
      const live = async () => ((await fleet.send('/live/eve'))?.body as string[]).sort()
      const ends = async () => (await fleet.ofEach('/ends/eve', '')).flatMap(({ body }) => body as End[])

      const many = SIGN_INS[shared.kind] ?? 50
      const answers = await Promise.all(numbers(many).map(() => fleet.send('/login/eve')))

      const signedIn = answers.map((told) => String(told?.body))
      t.deepEqual(counted(answers.map((told) => told?.status)), { 200: many })
      t.is(new Set(answers.map((told) => told?.process)).size, 4)
      const left = await live()
      t.true(left.length > 0 && left.length <= MOST, `${left.length} live`)
      t.deepEqual(counted((await ends()).map(([, , reason]) => reason)), { limit: many - left.length })
      const ended = (await ends()).map(([publicId]) => publicId)
      t.deepEqual([...left, ...ended].sort(), [...signedIn].sort())

      const newest: string[] = []
      for (let turn = 0; turn < MOST; turn++) {
        // Of one millisecond, the key would decide.
        await sleep(2)
        newest.push(String((await fleet.send('/login/eve'))?.body))
      }
      t.deepEqual(await live(), [...newest].sort())
      t.is((await ends()).length, many)
    },
  )
}
