// The databases of a run, and what can be done to them. All on loopback, ended with the run.
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { mysqlServer } from '../support/mysql.ts'
import { postgres } from '../support/postgres.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { redisMakes, startRedis, startSentinels, type RedisServer } from '../support/redis.ts'
import { freePort, temporaryFolder } from '../support/service.ts'
import { libsql, nodeSqlite } from '../support/sqlite.ts'
import type { Shared } from './process.ts'

/** Breaks something, waits, and mends it. */
export type Fault = (random: () => number) => Promise<void>

export interface Backend {
  /** How many processes may serve one store. */
  readonly processes: number
  /** How that process reaches the store; each has a network of its own, if any. */
  readonly shared: (process: number) => Shared
  /** By name. */
  readonly faults: Readonly<Record<string, Fault>>
  readonly stop: () => Promise<unknown>
}

const run = promisify(execFile)
const PROCESSES = 3

/** @throws {Error} where this machine has no such server. */
export async function openBackend(store: string, client: string | undefined): Promise<Backend> {
  switch (store) {
    case 'memory':
      return { processes: 1, shared: () => ({ kind: 'memory' }), faults: {}, stop: () => Promise.resolve() }
    case 'sqlite': {
      const path = join(temporaryFolder(), 'sessions.db')
      const { name: driver } = client === 'libsql' ? libsql : (nodeSqlite ?? libsql)
      return {
        processes: PROCESSES,
        shared: () => ({ kind: 'sqlite', path, driver }),
        faults: {},
        stop: () => Promise.resolve(),
      }
    }
    case 'redis':
      return redisBackend(client === 'ioredis' ? 'ioredis' : 'redis')
    case 'cluster':
      return clusterBackend()
    case 'sentinel':
      return sentinelBackend()
    case 'postgres': {
      const server = found(await postgres(), store)
      const at = (port: number): Shared => {
        const url = new URL(server.url)
        url.hostname = '127.0.0.1'
        url.port = String(port)
        return { kind: 'postgres', url: url.href }
      }
      return behindProxies(Number(new URL(server.url).port), at, server.restart, () => server.stop())
    }
    case 'mysql': {
      const server = found(await mysqlServer(), store)
      const at = (port: number): Shared => {
        const uri = new URL(server.uri)
        uri.port = String(port)
        return { kind: 'mysql', uri: uri.href }
      }
      return behindProxies(server.port, at, server.restart, () => server.stop())
    }
    default:
      throw new Error(`no store is called ${store}`)
  }
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`this machine has no ${what}`)
  return value
}

function makeOf(): NonNullable<ReturnType<typeof redisMakes>[number]> {
  return found(redisMakes()[0], 'redis-server')
}

/** A server that each process reaches through a network of its own. */
async function behindProxies(
  port: number,
  at: (port: number) => Shared,
  restart: ((signal: NodeJS.Signals) => Promise<void>) | undefined,
  stop: () => Promise<unknown>,
): Promise<Backend> {
  const proxies = await Promise.all(Array.from({ length: PROCESSES }, () => startProxy(port)))
  const one = (random: () => number): Proxy => found(proxies[Math.floor(random() * PROCESSES)], 'proxy')
  const spell = async (proxy: Proxy, mode: Proxy['mode'], milliseconds: number): Promise<void> => {
    proxy.mode = mode
    if (mode === 'refuse') proxy.cut()
    await sleep(milliseconds)
    proxy.mode = 'pass'
    // What lost bytes, or would be overtaken, must not be taken up.
    proxy.cut()
  }
  const faults: Record<string, Fault> = {
    cut: (random) => {
      one(random).cut()
      return Promise.resolve()
    },
    reset: (random) => {
      one(random).reset()
      return Promise.resolve()
    },
    'black hole': (random) => spell(one(random), 'black hole', 300 + random() * 1200),
    refuse: (random) => spell(one(random), 'refuse', 100 + random() * 700),
    delay: async (random) => {
      const proxy = one(random)
      proxy.delay = random() < 0.5 ? 30 : 700
      await spell(proxy, 'delay', 300 + random() * 1000)
    },
    'lose answer': async (random) => {
      const proxy = one(random)
      await Promise.race([proxy.loseAnswer(Math.floor(random() * 20)), sleep(1500)])
      proxy.mode = 'pass'
    },
  }
  if (restart !== undefined) faults['kill database'] = () => restart('SIGKILL')
  return {
    processes: PROCESSES,
    shared: (process) => at(found(proxies[process], 'proxy').port),
    faults,
    stop: async () => {
      await Promise.all(proxies.map((proxy) => proxy.close()))
      await stop()
    },
  }
}

async function redisBackend(client: 'redis' | 'ioredis'): Promise<Backend> {
  const make = makeOf()
  // Only so does Redis keep what it has acknowledged when it is killed.
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', temporaryFolder()]
  let server = await startRedis(make, durable)
  const restart = async (): Promise<void> => {
    await server.running.stop('SIGKILL')
    server = await startRedis(make, durable, server.port)
  }
  const at = (port: number): Shared => ({ kind: 'redis', port, client })
  return behindProxies(server.port, at, restart, () => server.running.stop())
}

/** A server that can be killed and comes back with what it has on disk. */
interface Node {
  readonly port: number
  readonly args: readonly string[]
  server: RedisServer
}

async function startNode(args: readonly string[]): Promise<Node> {
  const folder = join(temporaryFolder(), 'data')
  mkdirSync(folder)
  const all = [...args, '--appendonly', 'yes', '--appendfsync', 'always', '--dir', folder]
  const port = await freePort()
  return { port, args: all, server: await startRedis(makeOf(), all, port) }
}

async function restartNode(node: Node, pause: number): Promise<void> {
  await node.server.running.stop('SIGKILL')
  await sleep(pause)
  node.server = await startRedis(makeOf(), node.args, node.port)
}

async function asked<T>(port: number, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(port, '127.0.0.1', { retryStrategy: () => null })
  redis.on('error', () => undefined)
  try {
    return await ask(redis)
  } finally {
    redis.disconnect()
  }
}

async function isPrimary({ port }: Node): Promise<boolean> {
  return asked(port, async (redis) => (await redis.info('replication')).includes('role:master')).catch(() => false)
}

/** Three primaries, each with a replica. */
async function clusterBackend(): Promise<Backend> {
  const make = makeOf()
  const args = ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', '1000']
  const nodes = await Promise.all(
    Array.from({ length: 6 }, () => startNode([...args, '--repl-diskless-sync-delay', '0'])),
  )
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await run(make.cli, ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'])
  const isWell = async (): Promise<boolean> => {
    const states = await Promise.all(
      nodes.map(({ port }) =>
        asked(port, async (redis) => {
          const [cluster, replication] = [await redis.cluster('INFO'), await redis.info('replication')]
          return cluster.includes('cluster_state:ok') && /role:master|master_link_status:up/.test(replication)
        }).catch(() => false),
      ),
    )
    const primaries = await Promise.all(nodes.map(isPrimary))
    return states.every((ok) => ok) && primaries.filter((is) => is).length === 3
  }
  await until(isWell)
  const pick = async (random: () => number, wantsPrimary: boolean): Promise<Node> => {
    const are = await Promise.all(nodes.map(isPrimary))
    const fitting = nodes.filter((_, at) => are[at] === wantsPrimary)
    return found(fitting[Math.floor(random() * fitting.length)], 'node')
  }
  return {
    processes: PROCESSES,
    shared: () => ({ kind: 'cluster', ports: nodes.map(({ port }) => port) }),
    faults: {
      'kill primary': async (random) => {
        await restartNode(await pick(random, true), 3000)
        await until(isWell)
      },
      'kill primary shortly': async (random) => {
        await restartNode(await pick(random, true), 100)
        await until(isWell)
      },
      failover: async (random) => {
        const { port } = await pick(random, false)
        await asked(port, (redis) => redis.cluster('FAILOVER')).catch(() => undefined)
        await sleep(500)
        await until(isWell)
      },
    },
    stop: () => Promise.all(nodes.map(({ server }) => server.running.stop())),
  }
}

async function sentinelBackend(): Promise<Backend> {
  const make = makeOf()
  const set = await startSentinels(make)
  const nodes = set.servers.map(({ port, running }) => ({ port, running }))
  const isWell = async (): Promise<boolean> => {
    const roles = await Promise.all(
      nodes.map(({ port }) => asked(port, (redis) => redis.info('replication')).catch(() => '')),
    )
    return (
      roles.filter((text) => text.includes('role:master')).length === 1 &&
      roles.some((text) => text.includes('master_link_status:up'))
    )
  }
  const [sentinel = 0] = set.ports
  const primary = (): Promise<number> =>
    asked(sentinel, async (redis) =>
      Number(((await redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', set.name)) as string[])[1]),
    )
  return {
    processes: PROCESSES,
    shared: () => ({ kind: 'sentinel', ports: set.ports, name: set.name }),
    faults: {
      'kill primary': async () => {
        const port = await primary()
        const node = found(
          nodes.find((one) => one.port === port),
          'primary',
        )
        await node.running.stop('SIGKILL')
        await until(async () => (await primary()) !== port)
        // It comes back empty, as a replica: the set keeps nothing on disk.
        node.running = (await startRedis(make, ['--replicaof', '127.0.0.1', String(await primary())], port)).running
        await until(isWell)
      },
      failover: async () => {
        await asked(sentinel, (redis) => redis.call('SENTINEL', 'FAILOVER', set.name)).catch(() => undefined)
        await sleep(1500)
        await until(isWell)
      },
    },
    stop: async () => {
      await Promise.all(nodes.map(({ running }) => running.stop()))
      await set.stop()
    },
  }
}

/** Asks every 50 ms; what does not come to be within 20 s is the run's own failure. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await holds());) {
    if (Date.now() > end) throw new Error('the database did not recover within 20 s')
    await sleep(50)
  }
}
