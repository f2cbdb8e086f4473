// Starts Redis, PostgreSQL and MariaDB for a run, on free loopback ports and with nothing kept on disk beyond it, and ends them with this process.
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const children = new Set()
const folders = new Set()
process.once('exit', () => {
  children.forEach((child) => child.kill('SIGKILL'))
  folders.forEach((folder) => rmSync(folder, { recursive: true, force: true }))
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

/** `undefined` where this machine has no redis-server. */
export async function startRedis() {
  const port = await freePort()
  const folder = temporaryFolder()
  return run(
    'redis-server',
    ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
    {},
    port,
    `redis://127.0.0.1:${port}`,
  )
}

/** `undefined` where this machine has no PostgreSQL. Written data goes to disk as by default, but for a crash of the machine. */
export async function startPostgres() {
  const data = temporaryFolder()
  const user = withoutRights(data)
  const path = [...packaged(), process.env.PATH].join(delimiter)
  const options = { ...user, cwd: data, env: { ...process.env, PATH: path } }
  const made = spawnSync(
    'initdb',
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'],
    { ...options, stdio: 'ignore' },
  )
  if (made.error?.code === 'ENOENT') return undefined
  const port = await freePort()
  const args = [
    '-D',
    data,
    '-p',
    `${port}`,
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    'unix_socket_directories=',
    '-c',
    'synchronous_commit=off',
  ]
  const server = await run('postgres', args, options, port, `postgres://postgres@127.0.0.1:${port}/postgres`)
  // The port opens before the server is ready.
  if (server) await sleep(1000)
  return server
}

/** `undefined` where this machine has no MariaDB. Written data is with the system before it is acknowledged, and on disk within a second. */
export async function startMariadb() {
  const data = temporaryFolder()
  const user = withoutRights(data)
  const options = {
    ...user,
    cwd: data,
    env: { ...process.env, TMPDIR: data, PATH: `${process.env.PATH}${delimiter}/usr/sbin` },
  }
  const made = spawnSync(
    'mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal'],
    { ...options, stdio: 'ignore' },
  )
  if (made.error?.code === 'ENOENT') return undefined
  const port = await freePort()
  const args = [
    '--no-defaults',
    `--datadir=${data}`,
    `--socket=${data}/socket`,
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    '--skip-name-resolve',
    '--innodb-flush-log-at-trx-commit=2',
  ]
  const server = await run('mariadbd', args, options, port, `mysql://root@127.0.0.1:${port}/test`)
  if (server) await sleep(1000)
  return server
}

/** A database refuses to run as root: the conventional user without rights, to whom `folder` is given. */
function withoutRights(folder) {
  if (process.getuid?.() !== 0) return {}
  chownSync(folder, 65534, 65534)
  return { uid: 65534, gid: 65534 }
}

export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'koa-fastsession-bench-'))
  folders.add(folder)
  return folder
}

/** Debian keeps the programs of each major version beside one another, and none on PATH. */
function packaged() {
  try {
    const root = '/usr/lib/postgresql'
    return readdirSync(root)
      .sort((a, b) => Number(b) - Number(a))
      .map((major) => `${root}/${major}/bin`)
  } catch {
    return []
  }
}

async function run(program, args, options, port, url) {
  const child = spawn(program, args, { ...options, stdio: 'ignore' })
  let failure
  child.once('error', (error) => (failure = error))
  child.once('exit', (code) => (failure ??= new Error(`${program} ended with ${code}`)))
  children.add(child)
  for (const end = Date.now() + 10_000; !(await isOpen(port)); await sleep(20)) {
    if (failure?.code === 'ENOENT') return undefined
    if (failure || Date.now() > end) throw failure ?? new Error(`${program} does not answer on port ${port}`)
  }
  return {
    url,
    pid: child.pid,
    stop() {
      children.delete(child)
      if (child.exitCode !== null) return Promise.resolve()
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill(program === 'postgres' ? 'SIGQUIT' : 'SIGKILL')
      return gone
    },
  }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
