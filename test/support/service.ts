// Starts a real server for a test file on free loopback ports, and stops it with the process.
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The path of the first of these programs that this machine has, on PATH or in the folders given. */
export function program(names: readonly string[], folders: readonly string[] = []): string | undefined {
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

/** What to do without a service: in CI the run fails, elsewhere the tests are skipped, loudly. */
export function missing(what: string, remedy: string): undefined {
  if (process.env['CI'] === 'true' || process.env['REQUIRE_SERVICES'] === '1')
    throw new Error(`${what} is missing: ${remedy}`)
  process.stderr.write(`*** SKIPPED: ${what} is not on this machine; ${remedy}\n`)
  return undefined
}

/** A port of 127.0.0.1 that nobody listens on, below 55536 (a Redis Cluster's bus adds 10000). */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    if (port < 55536) return port
  }
}

/** Resolves once something accepts connections there. */
export async function listening(port: number, limit = 10_000): Promise<void> {
  const end = Date.now() + limit
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (open) return
    if (Date.now() > end) throw new Error(`nothing listens on port ${port} after ${limit} ms`)
    await sleep(20)
  }
}

// What is left when this process ends; one listener for all of it.
const children = new Set<ChildProcess>()
const folders = new Set<string>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})

/** A folder of its own under the system's temporary one, removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'koa-fastsession-'))
  folders.add(folder)
  return folder
}

export interface Running {
  readonly process: ChildProcess
  /** What it has printed so far, for the message of a failed start. */
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
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  children.add(child)
  void gone.then(() => children.delete(child))
  return {
    process: child,
    output: () => printed,
    async stop(signal = 'SIGKILL') {
      child.kill(signal)
      await gone
    },
  }
}
