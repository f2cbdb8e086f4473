// A PostgreSQL for tests: the server at TEST_POSTGRES_URL, or one that is started from the programs of this machine.
import { once } from 'node:events'
import { chownSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import {
  answering,
  finished,
  freePort,
  LONGEST_START,
  missing,
  program,
  start,
  temporaryFolder,
  type Running,
} from './service.ts'

export interface PostgresServer {
  /** What `new Pool({ connectionString })` takes. */
  readonly url: string
  /** Ends the server with a signal and restarts it on the same port and data; absent if the tests did not start it. */
  readonly restart?: (signal: NodeJS.Signals) => Promise<void>
  stop(): Promise<void>
}

const PACKAGED = '/usr/lib/postgresql'
// PostgreSQL refuses to run as root: this is the user id of `nobody`.
const NOBODY = 65534

/** Reports it and returns `undefined` if there is none. */
export async function postgres(): Promise<PostgresServer | undefined> {
  const given = process.env['TEST_POSTGRES_URL']
  if (given !== undefined) return { url: given, stop: () => Promise.resolve() }

  const folders = packagedFolders()
  const [initdb, server] = [program(['initdb'], folders), program(['postgres'], folders)]
  if (initdb === undefined || server === undefined) {
    missing('postgres', 'apt-get install postgresql, or set TEST_POSTGRES_URL')
    return undefined
  }
  const data = temporaryFolder()
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  if (user.uid !== undefined) chownSync(data, user.uid, user.gid)
  const cluster = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
  await finished('initdb', start(initdb, cluster, { ...user, cwd: data }))

  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const launch = async (): Promise<Running> => {
    // Written data survives the death of the process, and these tests kill nothing else: no need to wait for the disk.
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'full_page_writes=off']
    const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
    // After a SIGKILL its workers hold the shared memory for a moment, during which a new server refuses to start.
    for (const end = Date.now() + LONGEST_START; ;) {
      const running = start(server, args, { ...user, cwd: data })
      const ended = once(running.process, 'exit').then(() => false)
      if (await Promise.race([ready(running, url, port).then(() => true), ended])) return running
      if (Date.now() > end) throw new Error(`postgres does not start: ${running.output()}`)
      await sleep(50)
    }
  }
  let running = await launch()
  return {
    url,
    restart: async (signal) => {
      await running.stop(signal)
      running = await launch()
    },
    stop: async () => {
      await running.stop('SIGQUIT')
    },
  }
}

export interface Bouncer {
  /** The same database in transaction mode: each statement may run on another connection. */
  readonly url: string
  stop(): Promise<void>
}

/** A PgBouncer in transaction mode in front of that server. Reports it and returns `undefined` if there is none. */
export async function pgbouncer(server: PostgresServer): Promise<Bouncer | undefined> {
  const path = program(['pgbouncer'], ['/usr/sbin'])
  if (path === undefined) {
    missing('pgbouncer', 'apt-get install pgbouncer')
    return undefined
  }
  const [folder, port, behind] = [temporaryFolder(), await freePort(), new URL(server.url)]
  const config = join(folder, 'pgbouncer.ini')
  const user = behind.username === '' ? 'postgres' : behind.username
  const password = behind.password === '' ? '' : ` password='${behind.password}'`
  writeFileSync(
    config,
    `[databases]
postgres = host=${behind.hostname} port=${behind.port} dbname=${behind.pathname.slice(1)} user=${user}${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
`,
  )
  // Like PostgreSQL, it refuses to run as root.
  const rights = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  if (rights.uid !== undefined) chownSync(folder, rights.uid, rights.gid)
  const running = start(path, [config], { ...rights, cwd: folder })
  const url = `postgres://${user}@127.0.0.1:${port}/postgres`
  await ready(running, url, port)
  return { url, stop: () => running.stop() }
}

/** Debian has a folder of programs for each major version, none of them on PATH. */
function packagedFolders(): string[] {
  try {
    const majors = readdirSync(PACKAGED).sort((a, b) => Number(b) - Number(a))
    return majors.map((major) => `${PACKAGED}/${major}/bin`)
  } catch {
    return [] // not a Debian
  }
}

function ready(running: Running, url: string, port: number): Promise<void> {
  return answering('postgres', running, port, async () => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => undefined) // a lost connection is retried
    try {
      await client.connect()
      await client.query('SELECT 1')
    } finally {
      await client.end().catch(() => undefined)
    }
  })
}
