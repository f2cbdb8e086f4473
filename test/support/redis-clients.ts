// Every client that RedisStore takes, connected to a server of test/support/redis.ts.
import { GlideClient, GlideClusterClient, Logger } from '@valkey/valkey-glide'
import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { createClient, createClientPool, createCluster } from 'redis'
import type { RedisClient } from '../../src/stores/redis.ts'
import { startCluster, startEachRedis, type RedisPrograms, type TestedRedis } from './redis.ts'

// By default its core logs a line for every error that a server answers.
Logger.init('error')

// On a busy machine a connection or an answer may take longer than the clients' default timeouts.
const PATIENCE = 60_000
const patient = { requestTimeout: PATIENCE, advancedConfiguration: { connectionTimeout: PATIENCE } }
// Without an error listener a client of `redis` ends the process, and with it the test file. The failed command rejects anyway.
const ignore = (): void => undefined

export interface OpenClient {
  readonly name: string
  readonly client: RedisClient
  readonly close: () => unknown
}

/** Clients that are connected to one server. */
export async function openClients(port: number): Promise<readonly OpenClient[]> {
  const url = `redis://127.0.0.1:${port}`
  const socket = { connectTimeout: PATIENCE }
  const redis = await createClient({ url, socket }).on('error', ignore).connect()
  const pool = createClientPool({ url, socket }, { minimum: 1, maximum: 3 }).on('error', ignore)
  await pool.connect()
  const ioredis = new Redis(port, '127.0.0.1')
  const iovalkey = new Valkey(port, '127.0.0.1')
  const glide = await GlideClient.createClient({ addresses: [{ host: '127.0.0.1', port }], ...patient })
  return [
    { name: 'redis', client: redis, close: () => redis.destroy() },
    { name: 'ioredis', client: ioredis, close: () => ioredis.disconnect() },
    { name: 'redis pool', client: pool, close: () => pool.destroy() },
    { name: 'iovalkey', client: iovalkey, close: () => iovalkey.disconnect() },
    { name: 'valkey-glide', client: glide, close: () => glide.close() },
  ]
}

/** Clients that are connected to a Cluster. */
export async function openClusterClients(ports: readonly number[]): Promise<readonly OpenClient[]> {
  const addresses = ports.map((port) => ({ host: '127.0.0.1', port }))
  const redis = createCluster({
    rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })),
    defaults: { socket: { connectTimeout: PATIENCE } },
  }).on('error', ignore)
  await redis.connect()
  const ioredis = new Cluster(addresses)
  const iovalkey = new ValkeyCluster(addresses)
  const glide = await GlideClusterClient.createClient({ addresses, ...patient })
  return [
    { name: 'redis', client: redis, close: () => redis.destroy() },
    { name: 'ioredis', client: ioredis, close: () => ioredis.disconnect() },
    { name: 'iovalkey', client: iovalkey, close: () => iovalkey.disconnect() },
    { name: 'valkey-glide', client: glide, close: () => glide.close() },
  ]
}

/** A Cluster, with every client connected to it and an admin of each node; `stop` ends them all. */
export async function startClusterWithClients(make: RedisPrograms) {
  const nodes = [...(await startCluster(make))]
  const ports = nodes.map(({ port }) => port)
  const clients = await openClusterClients(ports)
  const admins = ports.map((port) => new Redis(port, '127.0.0.1'))
  const stop = async (): Promise<void> => {
    for (const { close } of clients) close()
    for (const admin of admins) admin.disconnect()
    await Promise.all(nodes.map(({ running }) => running.stop()))
  }
  return { make, nodes, ports, clients, admins, stop }
}

/** One server of each make, with every client connected to it; `stop` ends them all. */
export async function startEachWithClients(): Promise<readonly (TestedRedis & { clients: readonly OpenClient[] })[]> {
  return Promise.all(
    (await startEachRedis()).map(async (server) => {
      const clients = await openClients(server.port)
      return {
        ...server,
        clients,
        async stop() {
          for (const { close } of clients) close()
          await server.stop()
        },
      }
    }),
  )
}

/** A client that runs `step` around each command of another client. `n` is the number of the command, from 1. */
export function around(
  client: Redis,
  step: (send: () => Promise<unknown>, n: number) => Promise<unknown>,
): RedisClient {
  let sent = 0
  return { call: (name, args) => step(() => client.call(name, args), ++sent) }
}
