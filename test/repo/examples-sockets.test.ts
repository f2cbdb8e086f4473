// Examples 09 and 10, with the clients of ws and socket.io: what a page's socket may do, and when it is closed.
import { once } from 'node:events'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import type { Browser } from '../support/app.ts'
import { example, type Example } from '../support/example.ts'
import { temporaryFolder } from '../support/service.ts'

const POST = { method: 'POST' }

// Two processes of each example, on one file.
const stops: (() => unknown)[] = []
async function pair(name: string): Promise<readonly [Example, Example]> {
  const hook = { teardown: (stop: () => unknown) => void stops.push(stop) }
  const DATABASE = join(temporaryFolder(), 'sessions.db')
  const first = await example(hook, name, { DATABASE })
  return [first, await example(hook, name, { DATABASE })]
}

const [[ws, wsElsewhere], [socketIo, socketIoElsewhere]] = await Promise.all([
  pair('09-websocket.ts'),
  pair('10-socket-io.ts'),
])
test.after.always(() => Promise.all(stops.map((stop) => stop())))

async function signedIn({ browser }: Example): Promise<Browser> {
  const visitor = browser()
  await visitor.get('/login/ada', POST)
  return visitor
}

// ---- ws

async function dial(
  t: ExecutionContext,
  { url }: Example,
  cookie: string,
  origin: string | undefined = url,
): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'), { headers: { cookie, ...(origin === '' ? {} : { origin }) } })
  socket.on('error', () => undefined) // what waits for it hears of it as well
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  return socket
}

async function count(socket: WebSocket): Promise<number> {
  const answer = once(socket, 'message') as Promise<[Buffer]>
  socket.send('count')
  return (JSON.parse((await answer)[0].toString()) as { count: number }).count
}

async function closed(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, 'close')) as [number]
  return code
}

test('09-websocket: the page opens a socket', async (t) => {
  const page = await ws.browser().get('/')

  t.regex(page.headers.get('content-type') ?? '', /^text\/html/)
  t.regex(page.body, /new WebSocket\(/)
})

test('09-websocket: counts from sockets and requests at once are all kept', async (t) => {
  const app = ws
  const browser = await signedIn(app)
  const sockets = await Promise.all([1, 2].map(async () => dial(t, app, await browser.cookie())))
  const talk = async (socket: WebSocket): Promise<void> => {
    for (let times = 0; times < 5; times++) await count(socket)
  }

  await Promise.all([...sockets.map(talk), ...Array.from({ length: 5 }, () => browser.get('/count', POST))])

  t.is((await browser.get('/count', POST)).body, '{"count":16}')
})

test('09-websocket: a visitor who is not signed in is refused', async (t) => {
  const app = ws

  await t.throwsAsync(dial(t, app, ''), { message: /401/ })
  t.is((await app.browser().get('/count', POST)).status, 401)
})

for (const [whose, origin] of Object.entries({
  'of another host': 'http://evil.example',
  'of another port of this host': 'http://127.0.0.1:1',
  'without an origin of its own': 'null',
  'that does not say which': '',
})) {
  test(`09-websocket: a page ${whose} is refused, cookie or not`, async (t) => {
    const app = ws
    const browser = await signedIn(app)

    await t.throwsAsync(dial(t, app, await browser.cookie(), origin), { message: /403/ })
  })
}

test('09-websocket: a logout closes the sockets of that session, and no others', async (t) => {
  const app = ws
  const [browser, other] = [await signedIn(app), await signedIn(app)]
  const [socket, neighbour] = [await dial(t, app, await browser.cookie()), await dial(t, app, await other.cookie())]
  const end = closed(socket)

  await browser.get('/logout', POST)

  t.is(await end, 4001)
  t.is(await count(neighbour), 1)
})

test('09-websocket: a new id is no end: what is said under the old one closes the socket, and the new cookie opens another', async (t) => {
  const app = ws
  const browser = await signedIn(app)
  const socket = await dial(t, app, await browser.cookie())
  t.is(await count(socket), 1)
  await browser.get('/login/ada', POST)
  t.is(socket.readyState, WebSocket.OPEN)
  const end = closed(socket)
  socket.send('count')

  t.is(await end, 4002)
  t.is(await count(await dial(t, app, await browser.cookie())), 2)
})

test('09-websocket: a logout in another process closes the socket within seconds, though nothing is said', async (t) => {
  const [here, there] = [ws, wsElsewhere]
  const cookie = await (await signedIn(here)).cookie()
  const end = closed(await dial(t, here, cookie))
  const start = performance.now()

  t.is((await there.browser().send('/logout', cookie, POST)).status, 204)

  t.is(await end, 4001)
  t.true(performance.now() - start < 60_000)
})

test('09-websocket: a message in a session that another process ended closes the socket, and changes nothing', async (t) => {
  const [here, there] = [ws, wsElsewhere]
  const cookie = await (await signedIn(here)).cookie()
  const socket = await dial(t, here, cookie)
  t.is(await count(socket), 1)
  await there.browser().send('/logout', cookie, POST)
  const end = closed(socket)
  socket.send('count')

  // Whichever is first: the message, or the end that was found by the clock.
  t.true([4001, 4002].includes(await end))
  await t.throwsAsync(dial(t, here, cookie), { message: /401/ })
})

// ---- socket.io

interface Client {
  readonly arrived: Promise<'connected' | Error>
  readonly gone: Promise<string>
  say(text: string): Promise<string[]>
  /** Says anything, and waits for nothing. */
  send(args: readonly unknown[]): void
  /** Messages of the next event. */
  heard(): Promise<string[]>
}

function client(
  t: ExecutionContext,
  { url }: Example,
  cookie: string,
  { origin = url, transports = ['websocket'] }: { origin?: string; transports?: string[] } = {},
): Client {
  const socket = io(url, {
    extraHeaders: { cookie, ...(origin === '' ? {} : { origin }) },
    transports,
    reconnection: false,
    forceNew: true,
  })
  t.teardown(() => socket.disconnect())
  return {
    arrived: new Promise((resolve) => {
      socket.on('connect', () => resolve('connected'))
      socket.on('connect_error', resolve)
    }),
    gone: new Promise((resolve) => socket.on('disconnect', resolve)),
    say: (text) => socket.timeout(60_000).emitWithAck('say', text) as Promise<string[]>,
    send: (args) => void socket.emit('say', ...args),
    heard: () => new Promise((resolve) => socket.once('messages', resolve)),
  }
}

test('10-socket-io: what a socket says is kept and shown to the other tabs', async (t) => {
  const app = socketIo
  const browser = await signedIn(app)
  const cookie = await browser.cookie()
  const [tab, other] = [client(t, app, cookie), client(t, app, cookie)]
  t.deepEqual(await Promise.all([tab.arrived, other.arrived]), ['connected', 'connected'])
  const shown = other.heard()

  t.deepEqual(await tab.say('hello'), ['hello'])
  t.deepEqual(await shown, ['hello'])
  t.is((await browser.get('/say/again', POST)).body, '["hello","again"]')
})

test('10-socket-io: messages from sockets and requests at once are all kept', async (t) => {
  const app = socketIo
  const browser = await signedIn(app)
  const tab = client(t, app, await browser.cookie())
  await tab.arrived

  await Promise.all(
    Array.from({ length: 5 }, (_, at) =>
      Promise.all([tab.say(`socket ${at}`), browser.get(`/say/request%20${at}`, POST)]),
    ),
  )

  t.is((await tab.say('last')).length, 11)
})

test('10-socket-io: a visitor who is not signed in is told so', async (t) => {
  const app = socketIo
  const answer = await client(t, app, '').arrived

  t.is(answer instanceof Error && answer.message, 'sign in first')
})

for (const [what, wrong] of Object.entries({
  'a page of another host': { origin: 'http://evil.example' },
  'a WebSocket without an origin': { origin: '' },
  'polling, whose connections come and go,': { transports: ['polling'] },
})) {
  test(`10-socket-io: ${what} is refused, cookie or not`, async (t) => {
    const app = socketIo

    t.true((await client(t, app, await (await signedIn(app)).cookie(), wrong).arrived) instanceof Error)
  })
}

test('10-socket-io: what is no message is ignored, and the server goes on', async (t) => {
  const app = socketIo
  const tab = client(t, app, await (await signedIn(app)).cookie())
  await tab.arrived
  for (const wrong of [[], [{}, 'no function'], ['nobody waits for an answer'], [null, null]]) tab.send(wrong)

  t.deepEqual(await tab.say('hello'), ['hello'])
})

test('10-socket-io: a logout disconnects the sockets of that session, and no others', async (t) => {
  const app = socketIo
  const [browser, other] = [await signedIn(app), await signedIn(app)]
  const [tab, neighbour] = [client(t, app, await browser.cookie()), client(t, app, await other.cookie())]
  await Promise.all([tab.arrived, neighbour.arrived])

  await browser.get('/logout', POST)

  t.is(await tab.gone, 'io server disconnect')
  t.deepEqual(await neighbour.say('still here'), ['still here'])
})

test('10-socket-io: a logout in another process disconnects the socket within seconds, though nothing is said', async (t) => {
  const [here, there] = [socketIo, socketIoElsewhere]
  const cookie = await (await signedIn(here)).cookie()
  const tab = client(t, here, cookie)
  await tab.arrived
  const start = performance.now()

  t.is((await there.browser().send('/logout', cookie, POST)).status, 204)

  t.is(await tab.gone, 'io server disconnect')
  t.true(performance.now() - start < 60_000)
})
