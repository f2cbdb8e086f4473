// Subscribes a client of redis, ioredis or iovalkey to one channel, and reports when its connection was cut: each of them, and
// its Cluster, does so in another way, or not at all.
import { errorMonitor } from 'node:events'
import { hasMethod, ignore } from './client.ts'
import { invalidType } from '../../errors.ts'

/** A second client, for the announcements alone. */
export type RedisSubscriber =
  | { subscribe(channel: string, listener: (message: string) => void): Promise<unknown> }
  | { subscribe(channel: string): Promise<unknown> }
  | { subscribe(...channels: string[]): Promise<unknown> }

/** The callbacks of a subscription's connection. */
interface Ear {
  readonly message: (message: string) => void
  /** The connection was cut: what is announced now is lost. */
  readonly lost: () => void
  /** Connected again: the subscription has to be confirmed. */
  readonly back: () => void
}

/** A subscription of one client to one channel. */
export interface Feed {
  /** Resolves when the server has confirmed the subscription; may be called again. */
  readonly confirm: () => Promise<unknown>
  /** Settles when the server answers, over the connection of the subscription. */
  readonly ping: () => Promise<unknown>
  readonly close: () => void
}

export type OpenFeed = (channel: string, ear: Ear) => Feed

// The members that are used of subscribing clients.
interface Emitter {
  on(event: string | symbol, listener: (...args: string[]) => void): unknown
  off(event: string | symbol, listener: (...args: string[]) => void): unknown
}

interface Connected extends Emitter {
  readonly isReady?: boolean
  ping(): Promise<unknown>
}

interface Redis extends Connected {
  /** Of a Cluster: the connection of its subscriptions, once it has one. */
  readonly pubSubNode?: { readonly client: Connected } | undefined
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  unsubscribe(channel: string, listener: (message: string) => void): Promise<unknown>
}

interface Ioredis extends Emitter {
  subscribe(channel: string): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
}

interface IoredisNode extends Ioredis {
  duplicate(override: object): IoredisNode
  disconnect(): void
}

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` for a client whose subscriptions cannot be relied on. */
export function feedOf(subscriber: unknown, client: unknown): OpenFeed {
  const refuse = (remedy?: string) =>
    invalidType('options.subscriber', 'a second client of redis, ioredis or iovalkey', subscriber, remedy)
  if (subscriber === client)
    throw refuse('a client that subscribes can do nothing else, so give it a connection of its own: client.duplicate()')
  if (hasMethod(subscriber, 'customCommand'))
    throw refuse('valkey-glide tells nobody that a subscription was cut; a client of the others may subscribe for it')
  if (hasMethod(subscriber, 'getMasterNode'))
    throw refuse('createSentinel() tells nobody that a subscription was cut; ioredis may subscribe for it')
  if (!hasMethod(subscriber, 'subscribe') || !hasMethod(subscriber, 'unsubscribe') || !hasMethod(subscriber, 'on'))
    throw refuse()
  if (hasMethod(subscriber, 'call'))
    return (subscriber as { isCluster?: unknown }).isCluster === true
      ? ioredisClusterFeed(subscriber as { nodes(): readonly IoredisNode[] } & Emitter)
      : ioredisFeed(subscriber as Ioredis)
  if (!hasMethod(subscriber, 'sendCommand')) throw refuse()
  return redisFeed(subscriber as Redis)
}

function redisFeed(client: Redis): OpenFeed {
  return (channel, { message, back, lost }) => {
    // The client subscribes again by itself before it emits 'ready'. In all versions it emits an error when it was cut, even if it
    // does not connect again.
    const events: [string | symbol, () => void][] = [
      ['ready', back],
      [errorMonitor, lost],
      ['end', lost],
    ]
    // A Cluster subscribes over a separate connection to one node, and over another one when that is gone. In redis 5.0 to 5.8 it
    // forwards no event of that connection. Events that it forwards of other nodes do no harm here.
    let heard: Emitter | undefined
    const hear = (connection: Emitter | undefined): void => {
      if (connection === heard) return
      for (const [event, listener] of events) {
        heard?.off(event, listener)
        connection?.on(event, listener)
      }
      heard = connection
    }
    let isClosed = false
    hear(client)
    client.on('node-ready', back)
    return {
      async confirm() {
        // The client subscribes to a known channel without asking the server, even when it is not connected.
        if (subscribing(client).isReady === false) throw new Error('the subscriber is not connected')
        await client.subscribe(channel, message)
        const connection = subscribing(client)
        // In redis 4 it may be a promise while the Cluster changes the connection.
        if (!isClosed && hasMethod(connection, 'on')) hear(connection)
        await answering(client)
      },
      ping: () => answering(client),
      close() {
        isClosed = true
        hear(undefined)
        client.off('node-ready', back)
        client.unsubscribe(channel, message).catch(ignore)
      },
    }
  }
}

/** Resolves when the server answers; also if an ACL refuses PING. */
async function answering(client: Redis): Promise<void> {
  const connection = subscribing(client)
  if (!hasMethod(connection, 'ping')) return
  await connection.ping().catch((error: unknown) => {
    if (connection.isReady === false) throw error
  })
}

/** The connection that receives messages. */
function subscribing(client: Redis): Connected {
  return client.pubSubNode?.client ?? client
}

// The number of stores subscribed over a client, by channel: the client has one subscription for all of them.
const carried = new WeakMap<object, Map<string, number>>()

function count(client: object, channel: string, change: 1 | -1): number {
  const counts = carried.get(client) ?? new Map<string, number>()
  carried.set(client, counts)
  const next = (counts.get(channel) ?? 0) + change
  counts.set(channel, next)
  return next
}

function ioredisFeed(client: Ioredis): OpenFeed {
  return (channel, { message, back, lost }) => {
    const events: [string, (...args: string[]) => void][] = [
      ['message', (from = '', text = '') => from === channel && message(text)],
      ['ready', back],
      ['close', lost],
    ]
    for (const [event, listener] of events) client.on(event, listener)
    count(client, channel, 1)
    return {
      confirm: () => client.subscribe(channel),
      ping: () => subscribedAgain(client, channel),
      close() {
        for (const [event, listener] of events) client.off(event, listener)
        if (count(client, channel, -1) === 0) client.unsubscribe(channel).catch(ignore)
      },
    }
  }
}

/** Asks whether the server answers. It needs no right but that to subscribe, and a refusal is an answer, too. */
async function subscribedAgain(client: Pick<Ioredis, 'subscribe'>, channel: string): Promise<void> {
  await client.subscribe(channel).catch((error: unknown) => {
    // The client itself gives up after its `commandTimeout`.
    if ((error as Error | undefined)?.name !== 'ReplyError') throw error
  })
}

/**
 * A Cluster of ioredis subscribes over a hidden connection and reports nothing when that is cut. So the store duplicates the
 * connection to a node, and to another node when that one ends. It owns the duplicate and closes it with the subscription.
 */
function ioredisClusterFeed(cluster: { nodes(): readonly IoredisNode[] } & Emitter): OpenFeed {
  return (channel, { message, back, lost }) => {
    let connection: IoredisNode | undefined
    const onReady = () => connection === undefined && back()
    cluster.on('ready', onReady)
    const drop = () => {
      const old = connection
      connection = undefined
      old?.disconnect()
    }
    return {
      async confirm() {
        drop()
        const nodes = cluster.nodes()
        const node = nodes[Math.floor(Math.random() * nodes.length)]
        if (node === undefined) throw new Error('the Cluster has no node yet')
        const opened = node.duplicate({ lazyConnect: false, retryStrategy: () => null, keyPrefix: '' })
        connection = opened
        let stands = false
        opened.on('error', ignore)
        opened.on('message', (_, text = '') => connection === opened && message(text))
        opened.on('end', () => {
          if (connection !== opened) return
          connection = undefined
          if (stands) back()
          else lost()
        })
        await opened.subscribe(channel)
        stands = true
      },
      ping: () => (connection === undefined ? Promise.resolve() : subscribedAgain(connection, channel)),
      close() {
        cluster.off('ready', onReady)
        drop()
      },
    }
  }
}
