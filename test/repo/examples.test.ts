// Every example runs as its first lines say, under this Node, in a process of its own.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test from 'ava'
import type { Browser } from '../support/app.ts'
import { ROOT } from '../support/consumer.ts'
import { Device, REGISTER } from '../support/device.ts'
import { example } from '../support/example.ts'
import { mysqlServer } from '../support/mysql.ts'
import { postgres } from '../support/postgres.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { freePort, listening, printed, start, temporaryFolder } from '../support/service.ts'

const [make] = redisMakes()
const [redis, postgresServer, mariadb] = await Promise.all([make && startRedis(make), postgres(), mysqlServer()])
test.after.always(() => Promise.all([redis?.running.stop(), postgresServer?.stop(), mariadb?.stop()]))
const testWithRedis = redis === undefined ? test.skip : test
const testWithPostgres = postgresServer === undefined ? test.skip : test
const testWithMariadb = mariadb === undefined ? test.skip : test
const REDIS_URL = `redis://127.0.0.1:${redis?.port ?? 0}`
const DATABASE_URL = postgresServer?.url ?? ''

test('01-counter: the page links to the session test', async (t) => {
  const { browser } = await example(t, '01-counter.ts')

  const page = await browser().get('/')

  t.is(page.status, 200)
  t.regex(page.headers.get('content-type') ?? '', /^text\/html/)
  t.regex(page.body, /<a href="\/session_test">Open Session Test<\/a>/)
  t.deepEqual(page.setCookie, [])
})

test('01-counter: each browser has a count of its own, and one cookie', async (t) => {
  const { browser } = await example(t, '01-counter.ts')
  const [one, other] = [browser(), browser()]

  const first = await one.get('/session_test')

  t.is(first.body, '{"test_counter":1}')
  t.regex(first.setCookie.join('\n'), /^sid=[\w-]+\.[\w-]+; Path=\/; HttpOnly; SameSite=Lax$/)
  t.is((await one.get('/session_test')).body, '{"test_counter":2}')
  t.is((await other.get('/session_test')).body, '{"test_counter":1}')
  t.is((await one.get('/session_test')).body, '{"test_counter":3}')
})

test('01-counter: it says where it listens, and kindly that a port is taken', async (t) => {
  const { running, url } = await example(t, '01-counter.ts')
  const { port } = new URL(url)
  await t.notThrowsAsync(printed(running, new RegExp(`open http://localhost:${port}`)))
  const command = ['--import', './test/support/loader.js', 'example/01-counter.ts']
  const second = start('env', [`PORT=${port}`, process.execPath, ...command], { cwd: ROOT })
  t.teardown(() => second.stop())

  const code = await new Promise((resolve) => second.process.once('close', resolve))

  t.is(code, 1)
  t.is(
    second.output(),
    `Something listens on port ${port} already: PORT=${Number(port) + 1} npm start takes another one.\n`,
  )
})

test('01-counter: the page shows the lines of the program that count', async (t) => {
  const { browser } = await example(t, '01-counter.ts')
  const { body } = await browser().get('/')
  const lines = /<code>(const[^]*?)<\/code>/.exec(body)?.[1]?.split('\n') ?? []
  const program = readFileSync(join(ROOT, 'example/01-counter.ts'), 'utf8').replace('manager.', 'ctx.state.session.')

  t.is(lines.length, 3)
  for (const line of lines) t.true(program.includes(line), line)
})

test('01-counter: it prints a name of the session that is not the secret', async (t) => {
  const { browser, running } = await example(t, '01-counter.ts')

  const { setCookie } = await browser().get('/session_test')

  const id = /^sid=([\w-]+)\./.exec(setCookie[0] ?? '')?.[1] ?? ''
  await t.notThrowsAsync(printed(running, /^session: [\w-]{43}$/m))
  t.true(id.length > 20)
  t.false(running.output().includes(id))
})

test('02-service: functions without ctx find the session of their own request, in parallel', async (t) => {
  const { browser } = await example(t, '02-service.ts')
  const [euros, dollars] = [browser(), browser()]
  await euros.get('/currency/EUR', { method: 'PUT' })
  await dollars.get('/cart/pen', { method: 'POST' })

  await Promise.all([euros, dollars, euros, dollars].map((one) => one.get('/cart/book', { method: 'POST' })))

  const books = (currency: string) => Array.from({ length: 2 }, () => ({ item: 'book', price: `12 ${currency}` }))
  t.deepEqual(JSON.parse((await euros.get('/cart')).body), books('EUR'))
  t.deepEqual(JSON.parse((await dollars.get('/cart')).body), [{ item: 'pen', price: '9 USD' }, ...books('USD')])
})

test('03-sqlite: a count outlives the process', async (t) => {
  const environment = { DATABASE: join(temporaryFolder(), 'sessions.db') }
  const first = await example(t, '03-sqlite.ts', environment)
  const browser = first.browser()
  t.is((await browser.get('/')).body, '{"views":1}')
  const cookie = await browser.cookie()
  await first.running.stop('SIGTERM')

  const second = await example(t, '03-sqlite.ts', environment)

  t.is((await second.browser().send('/', cookie)).body, '{"views":2}')
})

testWithRedis('04-redis: from one device an owner sees all of them, and ends the others', async (t) => {
  const { browser } = await example(t, '04-redis.ts', { REDIS_URL })
  const [phone, laptop] = [browser(), browser()]
  for (const device of [phone, laptop]) t.is((await device.get('/login/ada', { method: 'POST' })).status, 204)

  const devices = JSON.parse((await laptop.get('/devices')).body) as { isThis: boolean }[]
  const { body } = await laptop.get('/logout-elsewhere', { method: 'POST' })

  t.deepEqual(devices.map(({ isThis }) => isThis).sort(), [false, true])
  t.is(body, '{"ended":1}')
  t.is((await phone.get('/devices')).status, 401)
  t.is((await laptop.get('/devices')).status, 200)
})

testWithPostgres('05-postgres: a note comes back, and the table does not show it', async (t) => {
  const { browser } = await example(t, '05-postgres.ts', { DATABASE_URL })
  const visitor = browser()
  await visitor.get('/note/buy%20milk', { method: 'PUT' })

  t.is((await visitor.get('/note')).body, '{"note":"buy milk"}')
  const rows = JSON.parse((await browser().get('/table')).body) as { payload_bytes: { data: number[] } }[]
  t.is(rows.length, 1)
  t.false(Buffer.from(rows[0]?.payload_bytes.data ?? []).includes('milk'))
  t.true((rows[0]?.payload_bytes.data.length ?? 0) > 20)
})

testWithRedis('06-cluster: one count, whichever of four processes answers', async (t) => {
  const { browser } = await example(t, '06-cluster.ts', { REDIS_URL })
  const visitor = browser()
  await visitor.get('/')
  const cookie = await visitor.cookie()

  const answers: { count: number; process: number }[] = []
  for (
    const end = Date.now() + 60_000;
    new Set(answers.map((answer) => answer.process)).size < 4 && Date.now() < end;
  ) {
    const bodies = await Promise.all([1, 2, 3, 4].map(async () => (await visitor.send('/', cookie)).body))
    answers.push(...bodies.map((body) => JSON.parse(body) as { count: number; process: number }))
  }

  t.is(new Set(answers.map((answer) => answer.process)).size, 4)
  t.deepEqual(
    answers.map(({ count }) => count).sort((a, b) => a - b),
    answers.map((_, at) => at + 2),
  )
})

test('07-observability: the metrics count what sessions did, with the reasons of refusals, and how often a span ended', async (t) => {
  const { browser } = await example(t, '07-observability.ts')
  const visitor = browser()
  for (let visit = 0; visit < 3; visit++) await visitor.get('/')
  await visitor.get('/login/ada', { method: 'POST' })
  await visitor.get('/logout', { method: 'POST' })
  await browser().send('/', `sid=${'a'.repeat(32)}.${'b'.repeat(43)}`)

  const lines = (await browser().get('/metrics')).body.trim().split('\n')

  t.deepEqual(lines.filter((line) => line.startsWith('session_events')).sort(), [
    'session_events_total{event="commit"} 5',
    'session_events_total{event="create"} 2',
    'session_events_total{event="destroy",reason="sign-out"} 1',
    'session_events_total{event="regenerate"} 1',
    'session_events_total{event="reject",reason="signature"} 1',
    'session_events_total{event="resume"} 4',
    'session_events_total{event="sign-in"} 1',
  ])
  t.deepEqual(lines.filter((line) => /span="(?:load|commit)"|operation="read"/.test(line)).sort(), [
    'session_duration_count{span="commit"} 6',
    'session_duration_count{span="load"} 6',
    'session_duration_count{span="store",operation="read"} 4',
  ])
})

test('07-observability: OpenTelemetry gets a span of each load, commit and store call, and nothing else of the session', async (t) => {
  const { browser, running } = await example(t, '07-observability.ts', {
    NODE_OPTIONS: `--import=${new URL('../support/span-printer.js', import.meta.url).href}`,
  })
  const visitor = browser()
  await visitor.get('/')
  await visitor.get('/')

  const spans = () => running.output().match(/^span .*$/gm) ?? []
  for (const end = Date.now() + 60_000; spans().length < 7 && Date.now() < end;) await browser().get('/metrics')

  t.deepEqual(spans(), [
    'span session.load {}',
    'span session.store {"operation":"create"}',
    'span session.commit {}',
    'span session.store {"operation":"read"}',
    'span session.load {}',
    'span session.store {"operation":"replace"}',
    'span session.commit {}',
  ])
})

interface Audited {
  readonly event?: string
  readonly level?: number
  readonly session?: string
  readonly previous?: string
  readonly reason?: string
  readonly source_ip?: string
  readonly request_method?: string
  readonly request_uri?: string
}

test("07-observability: the audit log tells a user's day in OWASP's words, with address and path, and no secret or data", async (t) => {
  const { browser, running } = await example(t, '07-observability.ts')
  const [visitor, second, third] = [browser(), browser(), browser()]
  const { setCookie } = await visitor.get('/')
  await visitor.get('/login/ada', { method: 'POST' })
  const cookie = await visitor.cookie()
  await visitor.get('/logout', { method: 'POST' })
  await visitor.send('/', cookie)
  await second.get('/login/ada', { method: 'POST' })
  await third.get('/login/ada', { method: 'POST' })
  await browser().get('/login/ada', { method: 'POST' })
  const headers = { origin: 'http://evil.example' }
  t.is((await third.send('/logout', await third.cookie(), { method: 'POST', headers })).status, 403)
  await browser().send('/', 'sid=forged')

  const entries = (): Audited[] =>
    (running.output().match(/^\{.*\}$/gm) ?? [])
      .map((line) => JSON.parse(line) as Audited)
      .filter(({ event }) => event !== undefined)
  for (const end = Date.now() + 60_000; entries().length < 15 && Date.now() < end;) await browser().get('/metrics')

  const [created, renewed, signedIn, expired, used] = entries()
  t.deepEqual(
    entries().map(({ event }) => event),
    [
      'session_created:anonymous',
      'session_renewed:ada',
      'authn_login_success:ada',
      'session_expired:ada,sign-out',
      'session_use_after_expire:anonymous',
      'session_created:anonymous',
      'session_created:ada',
      'authn_login_success:ada',
      'session_created:ada',
      'authn_login_success:ada',
      'session_created:ada',
      'authn_login_success:ada',
      'session_expired:ada,limit',
      'authz_fail:ada,session',
      'input_validation_fail:cookie,anonymous',
      'session_created:anonymous',
    ].slice(0, entries().length),
  )
  t.true(entries().length >= 15)
  t.like(renewed, { previous: created?.session ?? 'none', source_ip: '127.0.0.1', request_method: 'POST' })
  t.like(signedIn, { session: renewed?.session ?? 'none', request_uri: '/login/ada' })
  t.like(expired, { session: renewed?.session ?? 'none', reason: 'sign-out' })
  t.like(used, { session: renewed?.session ?? 'none', reason: 'ended', request_uri: '/' })
  // Worth an alert, and nothing else of that day.
  t.deepEqual(
    entries()
      .filter(({ level = 0 }) => level >= 40)
      .map(({ reason }) => reason),
    ['cross-site'],
  )
  for (const secret of [
    ...((setCookie[0] ?? '').split(';')[0]?.slice('sid='.length).split('.') ?? []),
    ...cookie.slice('sid='.length).split('.'),
    'views',
  ]) {
    t.true(secret.length > 4)
    t.false(running.output().includes(secret), secret)
  }
})

test('07-observability: a bound session that comes without proof of its browser is an alert, and binding it is none', async (t) => {
  const { browser, running } = await example(t, '07-observability.ts')
  const device = new Device(browser())
  const signedIn = await device.post('/login/ada')
  t.is((await device.register(signedIn)).status, 200)
  t.is((await device.get('/')).status, 200)
  const stolen = await device.browser.cookie()
  const alerts = (): Audited[] =>
    (running.output().match(/^\{.*\}$/gm) ?? [])
      .map((line) => JSON.parse(line) as Audited)
      .filter(({ event, level = 0 }) => event !== undefined && level >= 40)
  const metrics = async (): Promise<string> => (await browser().get('/metrics')).body
  t.regex(await metrics(), /event="bind"\} 1/)

  // Nothing is proven over plain HTTP, whatever cookies come.
  t.is((await browser().send('/', stolen)).body, '{"views":1}')
  t.regex(await metrics(), /event="reject",reason="unbound"\} 1/)
  t.is((await new Device(device.browser).register(signedIn)).status, 403)
  t.regex(await metrics(), /event="reject",reason="unbound"\} 2/)
  for (const end = Date.now() + 60_000; alerts().length < 2 && Date.now() < end;) await metrics()

  t.deepEqual(
    alerts().map(({ event, reason, source_ip, request_uri }) => ({ event, reason, source_ip, request_uri })),
    ['/', REGISTER].map((request_uri) => ({
      event: 'authz_fail:ada,session',
      reason: 'unbound',
      source_ip: '127.0.0.1',
      request_uri,
    })),
  )
})

testWithMariadb('11-mysql: a new password logs the other devices out, and this one stays', async (t) => {
  const { browser } = await example(t, '11-mysql.ts', { MYSQL_URL: mariadb?.uri ?? '' })
  const [phone, laptop] = [browser(), browser()]
  for (const device of [phone, laptop]) t.is((await device.get('/login/ada', { method: 'POST' })).status, 204)

  const { body } = await laptop.get('/password', { method: 'POST' })

  t.is(body, '{"ended":1}')
  t.is((await laptop.get('/')).body, '{"owner":"ada"}')
  t.is((await phone.get('/')).body, '{"owner":"nobody"}')
})

/** Reads a stream of the example until it ends; `seen` resolves once that text has come. */
async function follow(
  browser: Browser,
  path: string,
  text: string,
): Promise<{ seen: Promise<void>; whole: Promise<string> }> {
  const response = await fetch(browser.url + path, { headers: { cookie: await browser.cookie() } })
  let read = ''
  let tell = (): void => undefined
  const seen = new Promise<void>((resolve) => (tell = resolve))
  const whole = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      read += decoder.decode(chunk as Uint8Array, { stream: true })
      if (read.includes(text)) tell()
    }
    return read
  })()
  return { seen, whole }
}

test('12-streams: events and an answer that is being written end when their session does, in order', async (t) => {
  const { browser } = await example(t, '12-streams.ts', { KEEP_ALIVE: '50', PACE: '1000' })
  const visitor = browser()
  await visitor.get('/login/ada', { method: 'POST' })
  const events = await follow(visitor, '/events', ': still here')
  const answer = await follow(visitor, '/answer', 'sea')
  await Promise.all([events.seen, answer.seen])

  await visitor.get('/logout', { method: 'POST' })
  const [told, written] = await Promise.all([events.whole, answer.whole])

  t.regex(told, /^event: hello\ndata: \{"owner":"ada"\}\n\n(?:: still here\n\n)+event: end\ndata: \{\}\n\n$/)
  t.regex(written, /^To ada: the sea /)
  t.notRegex(written, /time\./) // an answer that nobody ends has its last word
})

test('12-streams: an answer that nobody ends is written to its end; without a session there is none', async (t) => {
  const { browser } = await example(t, '12-streams.ts', { PACE: '1' })
  const visitor = browser()
  t.is((await visitor.get('/events')).status, 401)
  await visitor.get('/login/ada', { method: 'POST' })

  t.is((await visitor.get('/answer')).body, 'To ada: the sea is wide, and a letter takes its time. \n')
})

test('npm run example 2 is enough for 02', async (t) => {
  const port = await freePort()
  const running = start('env', [`PORT=${port}`, process.execPath, 'scripts/example.js', '2'], { cwd: ROOT })
  t.teardown(() => running.stop())
  await listening(port, running)

  t.is((await fetch(`http://127.0.0.1:${port}/cart`)).status, 200)
})

test('npm run example without a number names the examples', async (t) => {
  const running = start(process.execPath, ['scripts/example.js'], { cwd: ROOT })

  const code = await new Promise((resolve) => running.process.once('close', resolve))

  t.is(code, 1)
  for (const name of readdirSync(join(ROOT, 'example')).filter((one) => one.endsWith('.ts')))
    t.true(running.output().includes(name))
})

/** Sends a POST; `taken` resolves once the server has begun with it, which it says before it answers. */
function posting(url: string, cookie: string): { taken: Promise<unknown>; answer: Promise<string> } {
  const sent = request(url, { method: 'POST', agent: false, headers: { cookie, expect: '100-continue' } })
  const taken = once(sent, 'continue')
  const answer = once(sent, 'response').then(([response]: unknown[]) => text(response as IncomingMessage))
  sent.end()
  return { taken, answer }
}

const SESSION_KEYS = 'a secret of this test alone'

testWithRedis(
  '13-production: SIGTERM ends it by itself within its grace: answers whole, commits stored, streams told',
  async (t) => {
    const environment = { REDIS_URL, SESSION_KEYS, WORK: '2000', GRACE: '24000' }
    const { browser, running, url } = await example(t, '13-production.ts', environment)
    const visitor = browser()
    // Not ada, whose sessions 04-redis lists and ends in the same Redis.
    await visitor.get('/login/grace', { method: 'POST' }) // its connection is kept alive, and idle
    const stream = await follow(visitor, '/events', 'hello')
    await stream.seen
    // A client that never sends the rest of its request.
    const half = connect(Number(new URL(url).port), '127.0.0.1')
    half.on('error', () => undefined)
    await once(half, 'connect')
    half.write('GET / HTTP/1.1\r\n')
    const order = posting(`${url}/orders`, await visitor.cookie())
    await order.taken
    const exit = once(running.process, 'close')
    running.process.kill('SIGTERM')

    t.is(await order.answer, '{"orders":1}')
    t.is(await stream.whole, 'event: hello\ndata: {}\n\nevent: end\ndata: {}\n\n')
    t.deepEqual(await exit, [0, null]) // at the end of its grace it would be 1
    t.is(running.output().trim(), `http://localhost:${new URL(url).port}`)
    const again = await example(t, '13-production.ts', environment)
    t.is((await again.browser().send('/orders', await visitor.cookie())).body, '{"orders":1}')
  },
)

testWithRedis('13-production: without anything open it ends at once', async (t) => {
  t.timeout(120_000)
  // At half its grace, ten minutes later, it would end whatever is open.
  const { browser, running } = await example(t, '13-production.ts', { REDIS_URL, SESSION_KEYS, GRACE: '1200000' })
  await browser().get('/login/grace', { method: 'POST' })
  t.is((await browser().get('/health')).status, 204)
  const exit = once(running.process, 'exit')

  running.process.kill('SIGTERM')

  t.deepEqual(await exit, [0, null])
})
