// Clients of one server for a test file.
import test from 'ava'
import pg from 'pg'
import { postgres } from './postgres.ts'

/** A server for a test file, and clients of it; `stop` ends them all, and what was pushed to `closing`. */
export async function openPostgres() {
  const server = await postgres()
  const closing: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    await Promise.allSettled(closing.map((close) => close()))
    await server?.stop()
  }
  const newPool = (options: pg.PoolConfig = {}): pg.Pool => {
    const pool = new pg.Pool({ connectionString: server?.url, ...options })
    closing.push(() => pool.end())
    return pool.on('error', () => undefined) // the server is stopped under it in the end
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
