// Clients of one server for a test file.
import test from 'ava'
import pg from 'pg'
import { postgres } from './postgres.ts'

/**
 * A server for a test file, and clients of it; `stop` ends them all, and what was pushed to `closing`. An idle connection that is
 * lost before that fails the file, unless its tests mean it to be.
 */
export async function openPostgres({ cutsConnections = false } = {}) {
  const server = await postgres()
  const closing: (() => unknown)[] = []
  let mayLose = cutsConnections
  const stop = async (): Promise<void> => {
    mayLose = true
    await Promise.allSettled(closing.map((close) => close()))
    await server?.stop()
  }
  const newPool = (options: pg.PoolConfig = {}): pg.Pool => {
    const pool = new pg.Pool({ connectionString: server?.url, ...options })
    closing.push(() => pool.end())
    return pool.on('error', (error) => {
      if (!mayLose) throw error
    })
  }
  const newClient = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: server?.url })
    closing.push(() => client.end())
    client.on('error', () => undefined) // connections are cut, as some tests mean them to be
    await client.connect()
    return client
  }
  return { server, closing, newPool, newClient, testWithServer: server === undefined ? test.skip : test, stop }
}
