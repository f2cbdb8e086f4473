// Who signs out at an old process during the overlap ends the streams of the new ones as well, without a further request.
import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { mock } from 'node:test'
import test, { type ExecutionContext } from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { http2Client } from '../support/app.ts'
import { after, ours, type Site } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'
import { turns } from '../support/stopped-clock.ts'

// The old sessions are looked at when a test says so.
mock.timers.enable({ apis: ['setInterval'] })
const LOOK = 4000
const MINUTE = 60_000

interface Stream {
  readonly site: Site
  readonly old: OldStore
  readonly mine: string
  readonly signal: AbortSignal
  readonly clock: { ahead: number; isBroken: boolean }
  readonly hangUp: () => void
}

/** A response that goes on, and the signal that it waits for. */
async function opened(t: ExecutionContext, site: Site, cookie: string): Promise<Pick<Stream, 'signal' | 'hangUp'>> {
  const leaving = new AbortController()
  const begun = once(site.app, 'stream')
  const response = fetch(`${site.url}/stream`, { headers: { cookie }, signal: leaving.signal }).catch(() => undefined)
  t.teardown(() => {
    leaving.abort()
    // Kept until then: fetch hangs up once nobody holds its response.
    return response
  })
  const [signal] = (await begun) as [AbortSignal]
  return { signal, hangUp: () => leaving.abort() }
}

/** A session that was taken over, and a response of it that goes on. */
async function streaming(t: ExecutionContext, data: object = { user: 'ada' }, life = DAY): Promise<Stream> {
  const clock = { ahead: 0, isBroken: false }
  const now = (): number => {
    if (clock.isBroken) throw new Error('no clock')
    return Date.now() + clock.ahead
  }
  const old = new OldStore(['k1', { ...data, _expire: Date.now() + life, _maxAge: life }])
  const options = { rolling: true, maxAge: DAY, now: () => Date.now() + clock.ahead }
  const site = await after(t, fromKoaSession({ store: old }), options, { now })
  const mine = ours(await site.browser().send('/', signed('k1')))
  return { site, old, mine, clock, ...(await opened(t, site, mine)) }
}

/** Another user whose session was taken over. */
async function bobOf({ site, old }: Stream): Promise<string> {
  old.records.set('k2', { user: 'bob', _expire: Date.now() + DAY, _maxAge: DAY })
  return ours(await site.browser().send('/', signed('k2')))
}

/** Lets the interval pass, and gives a look the time that it takes. @returns how often the old store was asked. */
async function look(old: OldStore): Promise<number> {
  const before = old.asked
  mock.timers.tick(LOOK)
  await turns(50)
  return old.asked - before
}

/** The user signs out at an old process, and the stream ends with the next look, no earlier. */
async function assertEndsWithOld(t: ExecutionContext, old: OldStore, signal: AbortSignal): Promise<void> {
  t.false(signal.aborted)
  old.records.delete('k1')
  await look(old)
  t.true(signal.aborted, 'without a further request')
}

for (const isRenewed of [false, true])
  test.serial(
    `session.signal aborts after a logout at an old process, after a new id as well: ${isRenewed}`,
    async (t) => {
      const { site, old, signal, mine: first } = await streaming(t)
      const mine = isRenewed ? ours(await site.browser().send('/again', first)) : first
      t.is(await look(old), 1)
      t.false(signal.aborted)
      old.isDown = true
      t.is(await look(old), 1)
      t.false(signal.aborted, 'an outage of the old store ends nothing')
      old.isDown = false

      await assertEndsWithOld(t, old, signal)
      t.regex((await site.browser().send('/', mine)).body, /^nobody/)
    },
  )

for (const user of ['ada', undefined])
  test.serial(`who signs in, which ends the old session, stays signed in beside an open stream: ${user}`, async (t) => {
    const { site, old, mine } = await streaming(t, { user, cart: ['pen'] })
    const eve = ours(await site.browser().send('/other', `${mine}; ${signed('k1')}`))
    t.false(old.records.has('k1'))

    await look(old)

    t.regex((await site.browser().send('/', eve)).body, /^eve/)
  })

test.serial('the old session is not looked at before somebody waits for the end, nor after the response', async (t) => {
  const { site, old, mine, hangUp } = await streaming(t)
  await site.browser().send('/', mine)
  t.is(await look(old), 1, 'a response that is over is not watched')

  const over = once(site.app, 'streamed')
  hangUp()
  await over
  t.is(await look(old), 0)
})

test.serial('a logout at an old process that has prolonged the old session ends the stream', async (t) => {
  const { site, old, mine, clock, signal } = await streaming(t, { user: 'ada' }, 20 * MINUTE)
  clock.ahead = 15 * MINUTE
  old.records.set('k1', { user: 'ada', _expire: Date.now() + 35 * MINUTE, _maxAge: 20 * MINUTE })
  await site.browser().send('/', mine)
  await look(old)
  clock.ahead = 25 * MINUTE
  await look(old)
  await assertEndsWithOld(t, old, signal)
})

test.serial('a stream that begins after an old process has prolonged the old session ends, too', async (t) => {
  const { site, old, mine, clock } = await streaming(t, { user: 'ada' }, 20 * MINUTE)
  clock.ahead = 15 * MINUTE
  old.records.set('k1', { user: 'ada', _expire: Date.now() + 35 * MINUTE, _maxAge: 20 * MINUTE })
  const { signal } = await opened(t, site, mine)
  await site.browser().send('/', mine)
  clock.ahead = 25 * MINUTE
  await assertEndsWithOld(t, old, signal)
})

test.serial('a new id that is older than its tombstone does not hide the session', async (t) => {
  const { site, old, mine, clock, signal } = await streaming(t)
  await site.browser().send('/again', mine)
  await look(old)
  clock.ahead = 5 * MINUTE
  await look(old)
  await assertEndsWithOld(t, old, signal)
})

test.serial('a visitor with a new id is watched as well', async (t) => {
  const { site, old, mine, signal } = await streaming(t, { cart: ['pen'] })
  await site.browser().send('/again', mine)
  await look(old)
  await assertEndsWithOld(t, old, signal)
})

test.serial('an old session that was made to end, and is still there, has ended', async (t) => {
  const { old, signal } = await streaming(t)
  old.records.set('k1', { user: 'ada', _expire: Date.now() - 1000, _maxAge: 1 })
  await look(old)
  t.true(signal.aborted)
})

test.serial('a clock that fails does not end the process', async (t) => {
  const { old, clock, signal } = await streaming(t)
  const failures: unknown[] = []
  const note = (error: unknown): void => void failures.push(error)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  clock.isBroken = true
  await look(old)
  clock.isBroken = false
  t.deepEqual(failures, [])
  t.false(signal.aborted)
})

test.serial('who signs in as another and then as the first again stays signed in', async (t) => {
  const stream = await streaming(t)
  const { site, old, mine } = stream
  const eve = ours(await site.browser().send('/other', `${mine}; ${signed('k1')}`))
  t.false(old.records.has('k1'))
  // Somebody else waits in the same process.
  await opened(t, site, await bobOf(stream))
  await look(old)
  const again = ours(await site.browser().send('/ada', eve))
  await look(old)
  t.regex((await site.browser().send('/', again)).body, /^ada/)
})

test.serial('a response that waits for nothing is not watched because another one does', async (t) => {
  const stream = await streaming(t)
  const { site, old } = stream
  const bob = await bobOf(stream)
  t.is(await look(old), 1)
  const held = once(site.app, 'hold')
  const answer = site.browser().send('/hold', bob)
  const [go] = (await held) as [() => void]
  const asked = await look(old)
  go()
  t.is(asked, 1)
  await answer
})

test.serial('a stream of HTTP/2 that its client leaves before its handlers is not watched', async (t) => {
  const stream = await streaming(t)
  const { site, old } = stream
  const bob = await bobOf(stream)
  const server = createServer((req, res) => void site.app.callback()(req, res))
  const client = await http2Client(t, server)
  const get = old.get.bind(old)
  const entered = new Promise<() => void>((resolve) => {
    old.get = async (key) => {
      old.get = get
      await new Promise<void>((go) => resolve(go))
      return get(key)
    }
  })
  const arriving = once(server, 'stream')
  const request = client.request({ ':path': '/stream', cookie: bob })
  request.on('error', () => undefined)
  request.end()
  const go = await entered
  const [arrived] = (await arriving) as [ServerHttp2Stream]
  const left = once(arrived, 'close')
  request.destroy()
  await left
  go()
  await turns(50)
  t.is(await look(old), 1)
})

test.serial('requests behind another one whose connection breaks are not watched', async (t) => {
  const { site, old, mine } = await streaming(t)
  t.is(await look(old), 1)
  const connecting = once(site.server, 'connection')
  const socket = connect(Number(new URL(site.url).port), '127.0.0.1')
  const [served] = (await connecting) as [Socket]
  const begun = once(site.app, 'stream')
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${mine}\r\n\r\n`
  socket.write(get('/stream'))
  await begun
  let count = 0
  const counted = (): void => {
    count++
  }
  site.app.on('stream', counted)
  socket.write(get('/stream').repeat(20))
  while (count < 20) await turns(5)
  t.is(await look(old), 22)
  const broken = once(served, 'close')
  socket.destroy()
  await broken
  t.is(await look(old), 1)
})
