// A MariaDB or MySQL for tests: the server at TEST_MYSQL_URL, or one that is started from the mysqld that TEST_MYSQLD names, or
// from this machine's MariaDB.
import { once } from 'node:events'
import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { answering, finished, freePort, missing, program, start, temporaryFolder, type Running } from './service.ts'

export interface MysqlServer {
  /** What mysql2 connects to, with all privileges, in its own database. */
  readonly uri: string
  readonly port: number
  readonly isMariadb: boolean
  /** Ends the server with a signal and restarts it on the same port and data; absent if the tests did not start it. */
  readonly restart?: (signal: NodeJS.Signals) => Promise<void>
  stop(): Promise<void>
}

const DATABASE = 'test'
// Neither program runs as root: this is the user id of `nobody`.
const NOBODY = 65534

/**
 * Reports it and returns `undefined` if there is none.
 *
 * @param settings command-line options for a server that is started here.
 */
export async function mysqlServer(settings: readonly string[] = []): Promise<MysqlServer | undefined> {
  const given = process.env['TEST_MYSQL_URL']
  if (given !== undefined) {
    const port = Number(new URL(given).port || 3306)
    return { uri: given, port, isMariadb: await isMariadb(given), stop: () => Promise.resolve() }
  }

  // At its start a server removes the temporary tables that it finds: in a shared folder also those of other servers.
  const scratch = temporaryFolder()
  const programs = ownMysql(scratch) ?? ownMariadb()
  if (programs === undefined) {
    missing('mariadbd', 'apt-get install mariadb-server, or set TEST_MYSQL_URL or TEST_MYSQLD')
    return undefined
  }
  const { install, server } = programs
  const data = temporaryFolder()
  const isRoot = process.getuid?.() === 0
  const user = { env: { ...process.env, TMPDIR: scratch }, ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}) }
  if (isRoot) for (const folder of [data, scratch]) chownSync(folder, NOBODY, NOBODY)
  const [installer, ...how] = install
  await finished(installer, start(installer, ['--no-defaults', `--datadir=${data}`, ...how], { ...user, cwd: data }))

  const port = await freePort()
  const root = { host: '127.0.0.1', port, user: 'root' }
  const launch = async (): Promise<Running> => {
    const place = [
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(data, 'socket')}`,
    ]
    // Written data survives the death of the process, and these tests kill nothing else: no need to wait for the disk.
    const modest = ['--innodb-flush-log-at-trx-commit=2', '--innodb-buffer-pool-size=32M', '--skip-name-resolve']
    const [executable, ...own] = server
    const running = start(executable, ['--no-defaults', ...place, ...modest, ...own, ...settings], {
      ...user,
      cwd: data,
    })
    const ended = once(running.process, 'exit').then(() => false)
    if (!(await Promise.race([ready(running, root).then(() => true), ended]))) {
      throw new Error(`the server does not start: ${running.output()}`)
    }
    return running
  }
  let running = await launch()
  const uri = `mysql://root@127.0.0.1:${port}/${DATABASE}`
  return {
    uri,
    port,
    isMariadb: await isMariadb(uri),
    restart: async (signal) => {
      await running.stop(signal)
      running = await launch()
    },
    stop: async () => {
      await running.stop('SIGKILL')
    },
  }
}

async function isMariadb(uri: string): Promise<boolean> {
  const connection = await mysql.createConnection({ uri, connectTimeout: 60_000 })
  const [rows] = await connection.query<mysql.RowDataPacket[]>('SELECT VERSION() AS version')
  await connection.end()
  return String(rows[0]?.['version']).includes('MariaDB')
}

/** A program with the options that only it knows. */
type Command = readonly [program: string, ...options: string[]]

interface Programs {
  readonly install: Command
  readonly server: Command
}

function ownMysql(folder: string): Programs | undefined {
  const mysqld = process.env['TEST_MYSQLD']
  if (mysqld === undefined) return undefined
  // MySQL's root user is root@localhost, which is not valid for connections from 127.0.0.1.
  const users = join(folder, 'users.sql')
  const root = "root@'127.0.0.1'"
  writeFileSync(users, `CREATE USER IF NOT EXISTS ${root}; GRANT ALL ON *.* TO ${root} WITH GRANT OPTION;`)
  const own = ['--mysqlx=OFF', '--secure-file-priv=NULL', '--innodb-redo-log-capacity=16M', `--init-file=${users}`]
  return { install: [mysqld, '--initialize-insecure'], server: [mysqld, ...own] }
}

function ownMariadb(): Programs | undefined {
  const folders = ['/usr/sbin', '/usr/local/sbin']
  const [install, server] = [program(['mariadb-install-db'], folders), program(['mariadbd'], folders)]
  if (install === undefined || server === undefined) return undefined
  return {
    install: [install, '--auth-root-authentication-method=normal', '--skip-test-db'],
    server: [server, '--innodb-log-file-size=16M'],
  }
}

/** Resolves once the server answers and has the database. */
function ready(running: Running, root: mysql.ConnectionOptions): Promise<void> {
  return answering('the server', running, root.port ?? 0, async () => {
    const connection = await mysql.createConnection({ ...root, connectTimeout: 60_000 })
    await connection.query(`CREATE DATABASE IF NOT EXISTS ${DATABASE}`)
    await connection.end()
  })
}
