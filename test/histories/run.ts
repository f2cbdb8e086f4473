// One run: several processes of the app over one database, clients, faults, and the history of it all.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openBackend, type Backend } from './backends.ts'
import { Clients, type Reply } from './clients.ts'
import { writeHistory } from './history.ts'
import type { Orders } from './process.ts'
import { chance } from './simulator.ts'

const PROGRAM = fileURLToPath(new URL('process.ts', import.meta.url))
const LOADER = new URL('../support/loader.js', import.meta.url).href
const SKEW = 1500
const STORE_TIMEOUT = 600
/** After that a client goes on without an answer. */
const PATIENCE = 12_000

export interface Run {
  readonly store: string
  readonly client?: string | undefined
  readonly seconds: number
  readonly seed: number
  readonly path: string
  readonly hasFaults: boolean
  readonly say: (what: string) => void
}

/** Plays a run and writes its history. @returns how often each fault struck. */
export async function play({
  store,
  client,
  seconds,
  seed,
  path,
  hasFaults,
  say,
}: Run): Promise<Record<string, number>> {
  const random = chance(seed)
  const backend = await openBackend(store, client)
  const skew = backend.processes === 1 ? 0 : SKEW
  const history = writeHistory(path, { store, seed, skew })
  const offs = Array.from({ length: backend.processes }, () => Math.round((random() * 2 - 1) * skew))
  const houses = await Promise.all(offs.map((off, at) => start(backend, at, off)))
  const end = performance.now() + seconds * 1000
  const agent = new Agent({ keepAlive: true })
  const clients = new Clients({
    processes: backend.processes,
    random,
    clock: () => performance.now(),
    sleep: (milliseconds) => sleep(milliseconds),
    isOver: () => performance.now() > end,
    record: history.record,
    ask: (at, url, cookie) => ask(agent, houses[at], url, cookie),
  })
  const struck: Record<string, number> = {}
  const faults: Record<string, (random: () => number) => Promise<void>> = { ...backend.faults }
  if (backend.processes > 1) {
    faults['kill process'] = async () => {
      const at = Math.floor(random() * houses.length)
      houses[at]?.child.kill('SIGKILL')
      houses[at] = await start(backend, at, offs[at] ?? 0)
    }
  }
  const strike = async (): Promise<void> => {
    const names = Object.keys(faults)
    await sleep(1000)
    while (hasFaults && names.length > 0 && performance.now() < end) {
      const name = names[Math.floor(random() * names.length)] ?? ''
      struck[name] = (struck[name] ?? 0) + 1
      await faults[name]?.(random)
      await sleep(200 + random() * 1500)
    }
  }
  try {
    await Promise.all([clients.run(4, 3, 2), strike()])
    await sleep(1000)
    const unread = await clients.readAll(40)
    if (unread > 0) say(`${unread} sessions could not be read when all was mended`)
  } finally {
    agent.destroy()
    for (const { child } of houses) child.kill('SIGKILL')
    await history.end()
    await backend.stop()
  }
  return struck
}

interface House {
  readonly child: ChildProcess
  readonly port: number
}

async function start(backend: Backend, at: number, clockOff: number): Promise<House> {
  const orders: Orders = { shared: backend.shared(at), clockOff, storeTimeout: STORE_TIMEOUT }
  for (let tries = 5; ; tries--) {
    const child = fork(PROGRAM, [JSON.stringify(orders)], {
      execArgv: ['--import', LOADER, '--disable-warning=ExperimentalWarning'],
    })
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.off('exit', kill))
    const died = once(child, 'exit').then(() => undefined)
    const told = (await Promise.race([once(child, 'message'), died])) as [number] | undefined
    if (told !== undefined) return { child, port: told[0] }
    // Its network may be broken just now.
    if (tries === 0) throw new Error('a process of the app does not start')
    await sleep(500)
  }
}

function ask(
  agent: Agent,
  house: House | undefined,
  path: string,
  cookie: string | undefined,
): Promise<Reply | undefined> {
  if (house === undefined) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const asked = request({
      agent,
      host: '127.0.0.1',
      port: house.port,
      path,
      headers: cookie === undefined ? {} : { cookie },
      signal: AbortSignal.timeout(PATIENCE),
    })
    const isLost = (): void => resolve(undefined)
    asked.on('error', isLost)
    asked.on('response', (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('error', isLost)
      response.on('aborted', isLost)
      response.on('end', () => {
        if (!response.complete) isLost()
        else resolve({ status: response.statusCode ?? 0, setCookie: response.headers['set-cookie'] ?? [], body })
      })
    })
    asked.end()
  })
}
