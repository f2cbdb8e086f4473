// Starts real servers for a test file on free loopback ports, and stops them when the process ends.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The path of the first of these programs on PATH or in `folders`; `undefined` if there is none, or with TEST_SERVICES=none. */
export function program(names: readonly string[], folders: readonly string[] = []): string | undefined {
  if (process.env['TEST_SERVICES'] === 'none') return undefined
  const places = [...(process.env['PATH'] ?? '').split(delimiter), ...folders]
  for (const name of names) {
    for (const place of places) {
      const path = join(place, name)
      try {
        accessSync(path, constants.X_OK)
        return path
      } catch {
        // not there: the next place
      }
    }
  }
  return undefined
}

/** Reports a missing service: throws in CI, elsewhere writes to stderr that its tests are skipped. */
export function missing(what: string, remedy: string): undefined {
  if (process.env['CI'] === 'true' || process.env['REQUIRE_SERVICES'] === '1')
    throw new Error(`${what} is missing: ${remedy}`)
  process.stderr.write(`*** SKIPPED: ${what} is not on this machine; ${remedy}\n`)
  return undefined
}

// Below the ephemeral ports (Linux from 32768, others from 49152), so that no connection and no other server gets the port while a
// program starts. The bus port of a Redis Cluster, 10000 higher, stays below them as well.
const [LOWEST_PORT, PORTS, BUS] = [11_000, 9_000, 10_000]

/** A free port of 127.0.0.1 that no other test process takes while this one lives. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = LOWEST_PORT + randomInt(PORTS)
    if ((await reserved(port)) && (await isFree(port)) && (await isFree(port + BUS))) return port
  }
  throw new Error('no port is free')
}

/** Marks a port as taken for other test processes, by holding the UDP port of that number, which no server here uses. */
function reserved(port: number): Promise<boolean> {
  const mark = createSocket('udp4')
  mark.unref()
  return new Promise((resolve) => {
    mark.once('error', () => {
      mark.close()
      resolve(false)
    })
    mark.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true))
  })
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** How long a program may take to start, in milliseconds: a busy machine starts several at once. */
export const LONGEST_START = 120_000

/** Resolves once the port accepts connections; rejects at once if the program has ended. */
export async function listening(port: number, running: Running): Promise<void> {
  for (const end = Date.now() + LONGEST_START; ;) {
    const { exitCode, signalCode } = running.process
    if (exitCode !== null || signalCode !== null)
      throw new Error(`what was to listen on port ${port} has ended: ${running.output()}`)
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (isOpen) return
    if (Date.now() > end)
      throw new Error(`nothing listens on port ${port} after ${LONGEST_START} ms: ${running.output()}`)
    await sleep(20)
  }
}

/**
 * Resolves once a server answers. Its port opens before it is ready, so failures are retried until then.
 *
 * @param ask fails as long as the server does not answer.
 */
export async function answering(name: string, running: Running, port: number, ask: () => Promise<void>): Promise<void> {
  await listening(port, running)
  for (const end = Date.now() + LONGEST_START; ;) {
    try {
      await ask()
      return
    } catch (error) {
      const { exitCode, signalCode } = running.process
      if (exitCode !== null || signalCode !== null || Date.now() > end)
        throw new Error(`${name} does not answer: ${running.output()}`, { cause: error })
    }
    await sleep(20)
  }
}

/** Resolves once a program has ended successfully. */
export async function finished(name: string, running: Running): Promise<void> {
  const [code] = (await once(running.process, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${name} ended with ${String(code)}: ${running.output()}`)
}

/** Resolves once `holds` returns `true`, asked every 20 ms; throws after the time that a start may take. */
export async function until(holds: () => boolean | Promise<boolean>, failure: () => string): Promise<void> {
  for (const end = Date.now() + LONGEST_START; !(await holds());) {
    if (Date.now() > end) throw new Error(failure())
    await sleep(20)
  }
}

/** Resolves once a program has printed it. Output may arrive later than the open port or an answer. */
export function printed(running: Running, what: RegExp): Promise<void> {
  return until(
    () => what.test(running.output()),
    () => `${what.source} was not printed, only: ${running.output()}`,
  )
}

// What must be removed when this process ends, by one listener.
const children = new Set<ChildProcess>()
const folders = new Set<string>()
function cleanUp(): void {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    } catch {
      // a program that was just killed may still write: the rest stays in the system's temporary folder
    }
  }
}
process.once('exit', cleanUp)
// AVA ends a hanging file by a signal, which by default ends the process without an 'exit' event.
process.once('SIGTERM', () => {
  cleanUp()
  process.kill(process.pid, 'SIGKILL')
})

/** Kills a child if this process ends before it. */
export function endWithUs(child: ChildProcess): void {
  children.add(child)
  child.once('exit', () => children.delete(child))
}

const run = `${process.pid.toString(36)}${Date.now().toString(36)}`
let names = 0

/** A name that no other test and no earlier run has used, for a table on a server that may be shared. */
export function freshName(): string {
  return `t${run}_${names++}`
}

/** A new folder in the system's temporary folder, removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'koa-fastsession-'))
  folders.add(folder)
  return folder
}

export interface Running {
  readonly process: ChildProcess
  /** The output so far, for the message of a failed start. */
  output(): string
  /** Ends it and resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts a program; it never outlives this process. */
export function start(
  path: string,
  args: readonly string[],
  options: { uid?: number; gid?: number; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Running {
  let printed = ''
  const child = spawn(path, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.on('error', (error) => {
      printed += String(error)
      if (child.pid === undefined) resolve() // it did not start
    })
  })
  endWithUs(child)
  return {
    process: child,
    output: () => printed,
    async stop(signal = 'SIGKILL') {
      child.kill(signal)
      await gone
    },
  }
}
