// A TCP proxy that misbehaves on demand: between a client and its server on 127.0.0.1.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What happens to traffic: through, late by `delay` milliseconds, swallowed with the connection open, or refused. */
export type Mode = 'pass' | 'delay' | 'black hole' | 'refuse'

export interface Proxy {
  readonly port: number
  /** How long `'delay'` holds each chunk of either direction, in milliseconds. */
  delay: number
  mode: Mode
  /** Ends all connections in order (FIN). */
  cut(): void
  /** Ends all connections at once (RST). */
  reset(): void
  /**
   * Lets commands through, swallows the answer that comes after `passed` others, ends all connections and refuses new
   * ones; resolves when that has happened. So a command was carried out and nobody was told.
   */
  loseAnswer(passed?: number): Promise<void>
  close(): Promise<void>
}

/** Starts a proxy in front of a port of 127.0.0.1. */
export async function startProxy(target: number): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let losing: (() => void) | undefined
  let left = 0

  const each = (end: (socket: Socket) => void) => pairs.forEach((pair) => pair.forEach(end))
  const proxy: Proxy = {
    port: 0,
    delay: 0,
    mode: 'pass',
    cut: () => each((socket) => socket.destroy()),
    reset: () => each((socket) => socket.resetAndDestroy()),
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
