// Walks over all sessions: complete while slots move from node to node, and when another server takes over.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'
import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster } from 'iovalkey'
import { HOUR, newRecord, successor } from '../../src/conformance/scene.ts'
import type { SessionRecord } from '../../src/store.ts'
import { RedisStore, type RedisClient } from '../../src/stores/redis.ts'
import { walkCluster } from '../../src/stores/redis/walk.ts'
import { listed, scanned } from '../support/portions.ts'
import { startClusterWithClients } from '../support/redis-clients.ts'
import { redisMakes, startCluster, startNode, startRedis } from '../support/redis.ts'

const NOW = Date.now()
const run = promisify(execFile)

const keysOf = (records: readonly SessionRecord[]) => [...new Set(records.map(({ key }) => key))].sort()

async function createMany(store: RedisStore, count: number): Promise<SessionRecord[]> {
  const records = Array.from({ length: count }, (_, index) =>
    newRecord(NOW, { owner: index % 3 === 0 ? 'ada' : undefined }),
  )
  for (let at = 0; at < count; at += 100)
    await Promise.all(records.slice(at, at + 100).map((each) => store.create(each, NOW)))
  return records
}

for (const make of redisMakes()) {
  test(`${make.name} Cluster: a walk misses nothing while slots move, half moved, and to a node that the client does not know`, async (t) => {
    t.timeout(120_000)
    const { nodes, ports, clients, admins, stop } = await startClusterWithClients(make)
    t.teardown(stop)
    const ids = await Promise.all(admins.map(async (admin) => admin.cluster('MYID')))
    const prefix = 'moving:'
    const [first] = clients
    if (first === undefined) return t.fail()
    const records = await createMany(new RedisStore(first.client, { prefix }), 600)
    await admins[0]?.set('moving:other', 'x').catch(() => undefined)

    for (const { name, client } of clients) {
      for (const limit of [40, 1000])
        t.deepEqual(keysOf(await scanned(new RedisStore(client, { prefix }), NOW, limit)), keysOf(records), name)
    }

    // A slot with two records, of which one has gone over.
    const slots = new Map<number, string[]>()
    for (const { key } of records) {
      const slot = await admins[0]?.cluster('KEYSLOT', prefix + key)
      if (slot !== undefined) slots.set(slot, [...(slots.get(slot) ?? []), key])
    }
    const [slot, pair] = [...slots].find(([, keys]) => keys.length > 1) ?? []
    if (slot === undefined || pair === undefined) return t.fail('no two records in a slot')
    const counts = await Promise.all(admins.map(async (admin) => admin.cluster('COUNTKEYSINSLOT', slot)))
    const from = counts.findIndex((count) => count > 0)
    const to = (from + 1) % 3
    await admins[to]?.cluster('SETSLOT', slot, 'IMPORTING', ids[from] ?? '')
    await admins[from]?.cluster('SETSLOT', slot, 'MIGRATING', ids[to] ?? '')
    await admins[from]?.call('MIGRATE', '127.0.0.1', `${ports[to]}`, `${prefix}${pair[0]}`, '0', '5000')
    for (const { name, client } of clients)
      t.deepEqual(
        keysOf(await scanned(new RedisStore(client, { prefix }), NOW, 50)),
        keysOf(records),
        `${name}, half moved`,
      )
    for (const other of pair.slice(1))
      await admins[from]?.call('MIGRATE', '127.0.0.1', `${ports[to]}`, `${prefix}${other}`, '0', '5000')
    for (const admin of admins) await admin.cluster('SETSLOT', slot, 'NODE', ids[to] ?? '')

    // Slots go back and forth while all clients walk.
    const reshard = (source: number, target: string, count: number) =>
      run(make.cli, [
        ...[
          '--cluster',
          'reshard',
          `127.0.0.1:${ports[0]}`,
          '--cluster-from',
          ids[source] ?? '',
          '--cluster-to',
          target,
        ],
        ...['--cluster-slots', `${count}`, '--cluster-yes', '--cluster-pipeline', '3'],
      ])
    let moving: Promise<unknown> | undefined
    const walks = clients.map(({ client }) =>
      scanned(new RedisStore(client, { prefix }), NOW, 20, () => {
        moving ??= reshard(0, ids[2] ?? '', 300).then(() => reshard(2, ids[0] ?? '', 600))
      }),
    )
    for (const [index, walk] of walks.entries())
      t.deepEqual(keysOf(await walk), keysOf(records), `${clients[index]?.name}, while slots move`)
    await moving

    // A fourth node, of which no client has heard.
    const fresh = await startNode(make)
    nodes.push(fresh)
    await run(make.cli, ['--cluster', 'add-node', `127.0.0.1:${fresh.port}`, `127.0.0.1:${ports[0]}`])
    const fourth = new Redis(fresh.port, '127.0.0.1')
    admins.push(fourth)
    const id = await fourth.cluster('MYID')
    for (let tries = 0; tries < 300; tries++) {
      const views = await Promise.all(admins.map(async (admin) => (await admin.cluster('NODES')) as string))
      const info = await fourth.cluster('INFO')
      if (views.every((view) => view.includes(id)) && info.includes('cluster_state:ok')) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await reshard(1, id, 1000)
    t.true((await fourth.dbsize()) > 0)
    for (const { name, client } of clients) {
      const store = new RedisStore(client, { prefix })
      t.deepEqual(keysOf(await scanned(store, NOW, 50)), keysOf(records), `${name}, a node that it did not know`)
      t.is((await listed(store, 'ada', NOW)).length, 200)
    }
  })

  test(`${make.name} Cluster: clients that collect commands by themselves keep every verb`, async (t) => {
    const nodes = await startCluster(make)
    const hosts = nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
    const clients = [
      new Cluster(hosts, { enableAutoPipelining: true }),
      new ValkeyCluster(hosts, { enableAutoPipelining: true }),
    ]
    t.teardown(async () => {
      for (const client of clients) client.disconnect()
      await Promise.all(nodes.map(({ running }) => running.stop()))
    })
    for (const client of clients) {
      const store = new RedisStore(client)
      const records = Array.from({ length: 50 }, () => newRecord(NOW, { owner: 'ada' }))
      t.true((await Promise.all(records.map((each) => store.create(each, NOW)))).every(Boolean))
      const changed = records.map((each) => successor(each))
      t.true((await Promise.all(changed.map((each) => store.replace(each, 1, NOW)))).every((each) => each === 'done'))
      t.true((await Promise.all(changed.map((each) => store.touch(each.key, 2, NOW, NOW + HOUR, NOW)))).every(Boolean))
      t.deepEqual(keysOf(await listed(store, 'ada', NOW)), keysOf(records))
      t.deepEqual(keysOf(await scanned(store, NOW)), keysOf(records))
      t.true((await Promise.all(records.map(({ key }) => store.delete(key)))).every(Boolean))
      t.deepEqual(await scanned(store, NOW), [])
    }
  })

  test(`${make.name}: a walk that another server takes over begins anew, and one without end is an error`, async (t) => {
    const servers = await Promise.all([startRedis(make), startRedis(make)])
    const admins = servers.map(({ port }) => new Redis(port, '127.0.0.1'))
    t.teardown(async () => {
      for (const admin of admins) admin.disconnect()
      await Promise.all(servers.map(({ running }) => running.stop()))
    })
    const [one, two] = admins
    if (!one || !two) return t.fail()
    // The second is the copy that a failover puts in the first one's place: the same keys in another order.
    const records = await createMany(new RedisStore(one), 500)
    await two.replicaof('127.0.0.1', `${servers[0].port}`)
    for (let tries = 0; tries < 200 && !(await two.info('replication')).includes('master_link_status:up'); tries++)
      await new Promise((resolve) => setTimeout(resolve, 50))
    await two.replicaof('NO', 'ONE')
    t.is(await two.dbsize(), await one.dbsize())

    let serving = one
    const client: RedisClient = { call: (name, args) => serving.call(name, args) }
    const store = new RedisStore(client)
    const found = await scanned(store, NOW, 10, (portion) => {
      if (portion === 20) serving = two
    })
    t.deepEqual(keysOf(found), keysOf(records))

    await t.throwsAsync(
      scanned(store, NOW, 10, () => {
        serving = serving === one ? two : one
      }),
      { message: /another Redis server answers/ },
    )
  })
}

test('a cursor of a slot that no Cluster has fails, where no primary is known, and spins not', async (t) => {
  const sendToAll = (): Promise<readonly unknown[]> => Promise.resolve([])
  const connection = { ask: () => Promise.reject(new Error('nobody is there')), sendToAll }

  for (const cursor of ['20000', 'x'])
    await t.throwsAsync(walkCluster(connection, sendToAll, 'session:', 10, cursor), { message: /no Cluster has$/ })
})
