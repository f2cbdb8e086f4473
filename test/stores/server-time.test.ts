// What the clock of a server shows, through whichever client and whatever its options: an instant, in epoch milliseconds.
import { PGlite } from '@electric-sql/pglite'
import test, { type ExecutionContext } from 'ava'
import type mysql from 'mysql2/promise'
import type pg from 'pg'
import type { SessionStore } from '../../src/store.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { ODD_OPTIONS, openMysql, OTHER_OPTIONS } from '../support/mysql-clients.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { openClients, openClusterClients } from '../support/redis-clients.ts'
import { redisMakes, startCluster, startRedis } from '../support/redis.ts'
import { drivers } from '../support/sqlite.ts'

/** The server is of this machine, so its clock is ours: but for the fractions that either cuts off. */
async function showsNow(t: ExecutionContext, store: SessionStore): Promise<void> {
  const before = Date.now()
  const shown = await store.serverTime?.()
  const after = Date.now()

  t.true(Number.isSafeInteger(shown), `${typeof shown} ${String(shown)}`)
  t.true(before - 2 <= (shown ?? 0) && (shown ?? 0) <= after + 2, `${String(shown)} is not from ${before} to ${after}`)
}

const redisServers = await Promise.all(
  redisMakes().map(async (make) => {
    const [server, nodes] = await Promise.all([startRedis(make), startCluster(make)])
    const clients = await openClients(server.port)
    const clusterClients = await openClusterClients(nodes.map(({ port }) => port))
    return { make, servers: [server, ...nodes], clients, clusterClients }
  }),
)
const [postgres, mariadb] = await Promise.all([openPostgres(), openMysql()])
test.after.always(() => Promise.all([postgres.stop(), mariadb.stop()]))

for (const { make, servers, clients, clusterClients } of redisServers) {
  test.after.always(async () => {
    for (const { close } of [...clients, ...clusterClients]) close()
    await Promise.all(servers.map(({ running }) => running.stop()))
  })
  for (const { name, client } of clients)
    test(`${make.name}, ${name}: the time of the server is an instant`, (t) => showsNow(t, new RedisStore(client)))
  for (const { name, client } of clusterClients)
    test(`${make.name} Cluster, ${name}: the time of a node is an instant`, (t) => showsNow(t, new RedisStore(client)))
}

for (const [name, options] of [
  ['a Pool', {}],
  ['a time zone of its own', { options: '-c timezone=Pacific/Auckland' }],
] as const)
  postgres.testWithServer(`PostgreSQL, ${name}: the time of the server is an instant`, (t) =>
    showsNow(t, new PostgresStore(postgres.newPool(options))),
  )

postgres.testWithServer(
  'PostgreSQL: a client that makes something else of all columns tells no time, and says so',
  async (t) => {
    const types = { getTypeParser: () => () => 'nothing' } as unknown as pg.CustomTypesConfig
    const store = new PostgresStore(postgres.newPool({ types }))
    await t.throwsAsync(async () => store.serverTime(), { code: 'ERR_SESSION_STORE' })
  },
)

test('PGlite: the time of the server is an instant', async (t) => {
  const database = new PGlite()
  t.teardown(() => database.close())
  await showsNow(t, new PostgresStore(database))
})

const { clients } = mariadb
for (const [name, pool] of [
  ['a pool', clients.pool()],
  ['odd options and another time zone', clients.pool(ODD_OPTIONS, ["time_zone = '+13:00'"])],
  ['other odd options', clients.pool(OTHER_OPTIONS)],
] as const satisfies readonly (readonly [string, mysql.Pool])[])
  mariadb.testWithServer(`MariaDB, ${name}: the time of the server is an instant`, (t) =>
    showsNow(t, new MysqlStore(pool)),
  )

test('stores without a server have no other clock to ask', (t) => {
  t.false('serverTime' in new MemoryStore())
  for (const driver of drivers) t.false('serverTime' in new SqliteStore(driver.open(':memory:')), driver.name)
})
