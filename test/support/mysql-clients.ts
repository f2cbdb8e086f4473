// Clients of one server for a test file.
import test from 'ava'
import mysql from 'mysql2/promise'
import type { MysqlConnection, MysqlQuery } from '../../src/stores/mysql.ts'
import { mysqlServer, type MysqlServer } from './mysql.ts'

// Every client option that converts what is read or sent, and a second set with other values.
export const ODD_OPTIONS: mysql.PoolOptions = {
  rowsAsArray: true,
  nestTables: true,
  namedPlaceholders: true,
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  decimalNumbers: true,
  typeCast: (field) => field.string()?.toUpperCase() ?? 'nothing',
  charset: 'latin1',
  timezone: '+14:00',
  flags: ['-FOUND_ROWS'],
  maxPreparedStatements: 1,
  queryFormat: (sql: string, values: object) =>
    sql.replace(/:(\w+)/g, (text, name: string) => (name in values ? '1' : text)),
}
export const OTHER_OPTIONS: mysql.PoolOptions = {
  nestTables: '_',
  typeCast: false,
  supportBigNumbers: true,
  stringifyObjects: true,
}

/** Server defaults that ignore case and accents, and make tables non-transactional unless the DDL names an engine. */
export const FOREIGN_DEFAULTS: readonly string[] = [
  '--character-set-server=latin1',
  '--collation-server=latin1_general_ci',
  '--default-storage-engine=MyISAM',
]

export class MysqlClients {
  readonly #uri: string
  readonly #clients: { end(): Promise<void> }[] = []

  constructor(server: MysqlServer | undefined) {
    this.#uri = server?.uri ?? 'mysql://127.0.0.1:1/none'
  }

  /** @param settings what each new connection sets first, such as `"sql_mode = ''"`. */
  pool(options: mysql.PoolOptions = {}, settings: readonly string[] = []): mysql.Pool {
    // Options beside `uri` take precedence over it.
    const pool = mysql.createPool({ ...options, uri: this.#uri, connectTimeout: 20_000 })
    pool.on('connection', (connection) => settings.forEach((setting) => void connection.query(`SET ${setting}`)))
    return this.keep(pool)
  }

  async connection(): Promise<mysql.Connection> {
    return this.keep(await mysql.createConnection({ uri: this.#uri, connectTimeout: 20_000 }))
  }

  /** Ends this client with the others. */
  keep<Client extends { end(): Promise<void> }>(client: Client): Client {
    this.#clients.push(client)
    return client
  }

  async end(): Promise<void> {
    await Promise.allSettled(this.#clients.map((client) => client.end()))
  }
}

/**
 * A server for a test file, and clients of it; `stop` ends them all.
 *
 * @param settings command-line options for a server that is started here.
 */
export async function openMysql(settings?: readonly string[]) {
  const server = await mysqlServer(settings)
  const clients = new MysqlClients(server)
  const stop = async (): Promise<void> => {
    await clients.end()
    await server?.stop()
  }
  return { server, clients, testWithServer: server === undefined ? test.skip : test, stop }
}

/** A client that records the SQL that is sent through it. */
export function noting(client: mysql.Pool): MysqlConnection & { readonly texts: string[] } {
  const texts: string[] = []
  const send = (verb: 'execute' | 'query') => (query: MysqlQuery) => {
    texts.push(query.sql)
    return verb === 'execute' ? client.execute(query) : client.query(query)
  }
  return { texts, execute: send('execute'), query: send('query') }
}

/** A client of a server that does not support prepared statements. */
export function unprepared(client: mysql.Pool): MysqlConnection {
  const refusal = { code: 'ER_UNSUPPORTED_PS', errno: 1295, sqlState: 'HY000' }
  return {
    execute: () => Promise.reject(Object.assign(new Error('This command is not supported'), refusal)),
    query: (query) => client.query(query),
  }
}
