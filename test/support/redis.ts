// Starts Redis or Valkey for a test file: one server, a Cluster of three, or a Sentinel set. Nothing is stored on disk.
import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { freePort, listening, missing, program, start, temporaryFolder, until, type Running } from './service.ts'

const run = promisify(execFile)

let root: string | undefined
function newFolder(): string {
  root ??= temporaryFolder()
  return mkdtempSync(join(root, 'redis-'))
}

/** The programs of one make. */
export interface RedisPrograms {
  readonly name: 'redis' | 'valkey'
  readonly server: string
  readonly cli: string
}

export interface RedisServer {
  readonly port: number
  readonly running: Running
}

export interface RedisSentinels {
  readonly name: string
  readonly ports: readonly number[]
  /** The first is the primary at the start. */
  readonly servers: readonly RedisServer[]
  stop(): Promise<void>
}

/** Those of Redis and Valkey that this machine has. */
export function redisMakes(): readonly RedisPrograms[] {
  const makes = (['redis', 'valkey'] as const).flatMap((name) => {
    const [server, cli] = [program([`${name}-server`]), program([`${name}-cli`])]
    return server === undefined || cli === undefined ? [] : [{ name, server, cli }]
  })
  if (makes.length === 0) missing('redis-server', 'apt-get install redis-server, or valkey-server')
  return makes
}

/** Starts one server on `port` or a free one. Resolves when it accepts connections. */
export async function startRedis(
  { server }: RedisPrograms,
  args: readonly string[] = [],
  port?: number,
): Promise<RedisServer> {
  const folder = newFolder()
  const chosen = port ?? (await freePort())
  const common = ['--port', `${chosen}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
  const running = start(server, [...common, ...args])
  await listening(chosen, running)
  return { port: chosen, running }
}

export interface TestedRedis extends RedisServer {
  readonly make: RedisPrograms
  /** A client for tests to read or change data without the store. */
  readonly admin: Redis
  readonly freshPrefix: () => string
  readonly stop: () => Promise<void>
}

/** One server of each make. */
export async function startEachRedis(): Promise<readonly TestedRedis[]> {
  return Promise.all(
    redisMakes().map(async (make) => {
      const server = await startRedis(make)
      const admin = new Redis(server.port, '127.0.0.1')
      let prefixes = 0
      return {
        ...server,
        make,
        admin,
        freshPrefix: () => `app${++prefixes}:`,
        async stop() {
          admin.disconnect()
          await server.running.stop()
        },
      }
    }),
  )
}

/** A node that belongs to no Cluster yet. */
export function startNode(make: RedisPrograms): Promise<RedisServer> {
  const args = ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', '2000']
  return startRedis(make, args)
}

/** Three primaries that share the slots. */
export async function startCluster(make: RedisPrograms): Promise<readonly RedisServer[]> {
  const nodes = await Promise.all([1, 2, 3].map(() => startNode(make)))
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await run(make.cli, ['--cluster', 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes'])
  await Promise.all(
    nodes.map(({ port }) => nodeIs(port, async (node) => (await node.cluster('INFO')).includes('cluster_state:ok'))),
  )
  return nodes
}

/** A primary, a replica that is in sync, and three Sentinels that know both. */
export async function startSentinels(make: RedisPrograms): Promise<RedisSentinels> {
  const name = 'sessions'
  const primary = await startRedis(make, ['--repl-diskless-sync-delay', '0'])
  const replica = await startRedis(make, ['--replicaof', '127.0.0.1', `${primary.port}`])
  await nodeIs(replica.port, async (node) => (await node.info('replication')).includes('master_link_status:up'))

  const sentinels = await Promise.all(
    [1, 2, 3].map(async () => {
      const port = await freePort()
      const folder = newFolder()
      const file = join(folder, 'sentinel.conf')
      writeFileSync(
        file,
        [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${folder}`,
          `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
          `sentinel down-after-milliseconds ${name} 500`,
          `sentinel failover-timeout ${name} 2000`,
          '',
        ].join('\n'),
      )
      const running = start(make.server, [file, '--sentinel'])
      await listening(port, running)
      return { port, running }
    }),
  )
  await Promise.all(
    sentinels.map(({ port }) =>
      nodeIs(port, async (node) => {
        const [state] = (await node.call('SENTINEL', 'MASTERS')) as string[][]
        const told = (field: string) => state?.[state.indexOf(field) + 1]
        return told('num-slaves') === '1' && told('num-other-sentinels') === '2'
      }),
    ),
  )
  return {
    name,
    ports: sentinels.map(({ port }) => port),
    servers: [primary, replica],
    async stop() {
      await Promise.all([...sentinels, primary, replica].map(({ running }) => running.stop()))
    },
  }
}

/** Resolves once `holds` is true of the server on that port. */
async function nodeIs(port: number, holds: (node: Redis) => Promise<boolean>): Promise<void> {
  const node = new Redis(port, '127.0.0.1')
  try {
    await until(
      () => holds(node),
      () => `the server on port ${port} did not get ready in time`,
    )
  } finally {
    node.disconnect()
  }
}
