// A MariaDB or MySQL of the test's own: the server at TEST_MYSQL_URL, or a MariaDB started from the programs of this machine.
import { once } from 'node:events'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { answering, finished, freePort, missing, program, start, temporaryFolder, type Running } from './service.ts'

export interface MysqlServer {
  /** What mysql2 connects to, with every right, in a database of its own. */
  readonly uri: string
  readonly port: number
  /** Ends the server with a signal and starts it again on the same port and data; absent for a server that was there. */
  readonly restart?: (signal: NodeJS.Signals) => Promise<void>
  stop(): Promise<void>
}

const DATABASE = 'test'
// Neither program works as root: the conventional user without rights.
const NOBODY = 65534

/**
 * `undefined`, loudly, where there is none.
 *
 * @param settings for the command line of a server that is started here.
 */
export async function mysqlServer(settings: readonly string[] = []): Promise<MysqlServer | undefined> {
  const given = process.env['TEST_MYSQL_URL']
  if (given !== undefined) {
    return { uri: given, port: Number(new URL(given).port || 3306), stop: () => Promise.resolve() }
  }

  const folders = ['/usr/sbin', '/usr/local/sbin']
  const [install, server] = [program(['mariadb-install-db'], folders), program(['mariadbd'], folders)]
  if (install === undefined || server === undefined) {
    missing('mariadbd', 'apt-get install mariadb-server, or set TEST_MYSQL_URL')
    return undefined
  }
  const data = temporaryFolder()
  // A server that starts removes the temporary tables that it finds: in a folder shared with others, theirs as well.
  const scratch = temporaryFolder()
  const isRoot = process.getuid?.() === 0
  const user = { env: { ...process.env, TMPDIR: scratch }, ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}) }
  if (isRoot) for (const folder of [data, scratch]) chownSync(folder, NOBODY, NOBODY)
  const tables = ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db']
  await finished('mariadb-install-db', start(install, tables, { ...user, cwd: data }))

  const port = await freePort()
  const root = { host: '127.0.0.1', port, user: 'root' }
  const launch = async (): Promise<Running> => {
    const place = [
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(data, 'socket')}`,
    ]
    // What it has handed to the system outlives its own death, which is all that these tests bring about: no waiting for a disk.
    const modest = [
      '--innodb-flush-log-at-trx-commit=2',
      '--innodb-buffer-pool-size=32M',
      '--innodb-log-file-size=16M',
      '--skip-name-resolve',
    ]
    const running = start(server, ['--no-defaults', ...place, ...modest, ...settings], { ...user, cwd: data })
    const ended = once(running.process, 'exit').then(() => false)
    if (!(await Promise.race([ready(running, root).then(() => true), ended]))) {
      throw new Error(`mariadbd does not start: ${running.output()}`)
    }
    return running
  }
  let running = await launch()
  return {
    uri: `mysql://root@127.0.0.1:${port}/${DATABASE}`,
    port,
    restart: async (signal) => {
      await running.stop(signal)
      running = await launch()
    },
    stop: async () => {
      await running.stop('SIGKILL')
    },
  }
}

/** Answers, and has the database. */
function ready(running: Running, root: mysql.ConnectionOptions): Promise<void> {
  return answering('mariadbd', running, root.port ?? 0, async () => {
    const connection = await mysql.createConnection({ ...root, connectTimeout: 60_000 })
    await connection.query(`CREATE DATABASE IF NOT EXISTS ${DATABASE}`)
    await connection.end()
  })
}
