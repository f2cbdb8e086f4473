// Every example runs as its first lines say, under this Node, in a process of its own.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Browser } from './support/app.ts'
import { ROOT } from './support/consumer.ts'
import { freePort, listening, start, type Running } from './support/service.ts'

interface Example {
  readonly running: Running
  readonly browser: () => Browser
}

/** Starts an example on a free port until the test ends. */
async function example(t: ExecutionContext, name: string): Promise<Example> {
  const port = await freePort()
  const running = start('env', [`PORT=${port}`, process.execPath, '--import', './test/support/loader.js', `example/${name}`], { cwd: ROOT })
  t.teardown(() => running.stop())
  await listening(port, 30_000)
  return { running, browser: () => new Browser(`http://127.0.0.1:${port}`) }
}

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

test('01-counter: it prints a name of the session that is not the secret', async (t) => {
  const { browser, running } = await example(t, '01-counter.ts')

  const { setCookie } = await browser().get('/session_test')

  const id = /^sid=([\w-]+)\./.exec(setCookie[0] ?? '')?.[1] ?? ''
  t.regex(running.output(), /^session: [\w-]{43}$/m)
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

test('npm run example without a number names the examples', async (t) => {
  const running = start(process.execPath, ['scripts/example.js'], { cwd: ROOT })

  const code = await new Promise((resolve) => running.process.once('close', resolve))

  t.is(code, 1)
  for (const name of readdirSync(join(ROOT, 'example')).filter((one) => one.endsWith('.ts'))) t.true(running.output().includes(name))
})
