// A TCP proxy between a client and its server on 127.0.0.1 that misbehaves on demand.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What happens to traffic: passed, delayed by `delay` milliseconds, dropped with the connection open, or refused. */
export type Mode = 'pass' | 'delay' | 'black hole' | 'refuse'

export interface Proxy {
  readonly port: number
  /** How long `'delay'` holds each chunk in either direction, in milliseconds. */
  delay: number
  mode: Mode
  /** Closes all connections (FIN). */
  cut(): void
  /** Resets all connections (RST). */
  reset(): void
  /** From now on drops what the connections carry that are open now, and leaves them open. New ones work. */
  silence(): void
  /**
   * Drops the answer that comes after `passed` others, closes all connections and refuses new ones, so that a command was carried
   * out but its answer is lost. Resolves when that has happened.
   */
  loseAnswer(passed?: number): Promise<void>
  close(): Promise<void>
}

/** Starts a proxy in front of a port of 127.0.0.1. */
export async function startProxy(target: number): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  const silent = new WeakSet<Socket>()
  let losing: (() => void) | undefined
  let left = 0

  const each = (end: (socket: Socket) => void) => pairs.forEach((pair) => pair.forEach(end))
  const proxy: Proxy = {
    port: 0,
    delay: 0,
    mode: 'pass',
    cut: () => each((socket) => socket.destroy()),
    reset: () => each((socket) => socket.resetAndDestroy()),
    silence: () => each((socket) => silent.add(socket)),
    loseAnswer: (passed = 0) =>
      new Promise((resolve) => {
        left = passed
        losing = resolve
      }),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      proxy.cut()
      await closed
    },
  }

  const carry = (from: Socket, to: Socket, isAnswer: boolean) => {
    from.on('data', (chunk) => {
      if (silent.has(from)) return
      if (isAnswer && losing !== undefined && left-- === 0) {
        proxy.mode = 'refuse'
        proxy.cut()
        losing()
        losing = undefined
      } else if (proxy.mode === 'pass') to.write(chunk)
      else if (proxy.mode === 'delay') setTimeout(() => to.writable && to.write(chunk), proxy.delay)
    })
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
  }

  const server = createServer((client) => {
    if (proxy.mode === 'refuse') {
      client.on('error', () => undefined)
      client.resetAndDestroy()
      return
    }
    const upstream = connect(target, '127.0.0.1')
    const pair = [client, upstream] as const
    pairs.add(pair)
    client.once('close', () => pairs.delete(pair))
    carry(client, upstream, false)
    carry(upstream, client, true)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(proxy, { port: (server.address() as AddressInfo).port })
}
