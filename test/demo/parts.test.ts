// The demo's parts that need no browser: its accounts, its templates, and that it starts.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { deviceOf } from '../../example/demo/devices.ts'
import { Html, html } from '../../example/demo/html.ts'
import { span } from '../../example/demo/times.ts'
import { MemoryShelf, SqliteShelf, Users, type Shelf } from '../../example/demo/users.ts'
import { Browser } from '../support/app.ts'
import { ROOT } from '../support/consumer.ts'
import { freePort, listening, start, temporaryFolder, type Running } from '../support/service.ts'
import { drivers, nodeSqlite } from '../support/sqlite.ts'

const CHEAP = { N: 16, r: 1, p: 1 }
const PASSWORD = 'a long and quiet password'

const shelves: readonly (readonly [string, (t: ExecutionContext) => Shelf])[] = [
  ['in memory', () => new MemoryShelf()],
  ...drivers.map(
    (driver) =>
      [
        `in ${driver.name}`,
        (t: ExecutionContext) => {
          const database = driver.open(':memory:')
          t.teardown(() => void database.close())
          return new SqliteShelf(database)
        },
      ] as const,
  ),
]

for (const [where, open] of shelves) {
  test(`accounts ${where}: a password opens its account alone`, async (t) => {
    const users = new Users(open(t), CHEAP)
    const ada = await users.signUp('Ada', ' Ada@Example.org', PASSWORD)
    await users.signUp('Eve', 'eve@example.org', 'the password of Eve')

    t.is((await users.check('ada@example.org', PASSWORD))?.id, ada?.id)
    t.is(await users.check('ada@example.org', 'the password of Eve'), undefined)
    t.is(await users.check('nobody@example.org', PASSWORD), undefined)
    t.is(users.find(ada?.id ?? '')?.name, 'Ada')
  })

  test(`accounts ${where}: an e-mail is given once, at the beginning and when it is changed`, async (t) => {
    const users = new Users(open(t), CHEAP)
    const ada = await users.signUp('Ada', 'ada@example.org', PASSWORD)
    const eve = await users.signUp('Eve', 'eve@example.org', PASSWORD)
    if (ada === undefined || eve === undefined) return t.fail()

    t.is(await users.signUp('Eve', 'ADA@example.org', PASSWORD), undefined)
    t.false(users.changeEmail(eve, 'ada@example.org'))
    t.true(users.changeEmail(eve, 'eve@example.net'))
    t.true(users.changeEmail(ada, 'ada@example.org'))
    t.is((await users.check('eve@example.net', PASSWORD))?.id, eve.id)
    t.is(await users.check('eve@example.org', PASSWORD), undefined)
  })

  test(`accounts ${where}: a changed password is the only one that opens`, async (t) => {
    const users = new Users(open(t), CHEAP)
    const ada = await users.signUp('Ada', 'ada@example.org', PASSWORD)
    if (ada === undefined) return t.fail()

    await users.changePassword(ada, 'the next password')

    t.is(await users.check('ada@example.org', PASSWORD), undefined)
    t.is((await users.check('ada@example.org', 'the next password'))?.id, ada.id)
  })
}

test('a shelf holds no password, and one password gives two hashes', async (t) => {
  const shelf = new MemoryShelf()
  const users = new Users(shelf, CHEAP)
  for (const email of ['ada@example.org', 'eve@example.org']) await users.signUp('Somebody', email, PASSWORD)
  const [one, other] = ['ada@example.org', 'eve@example.org'].map((email) => shelf.byEmail(email)?.password ?? '')

  t.regex(one ?? '', /^16:1:1:[\w-]{22}:[\w-]{43}$/)
  t.not(one, other)
  t.false(`${one ?? ''}${other ?? ''}`.includes(PASSWORD))
})

test('a password costs what OWASP advises, unless a test says otherwise', async (t) => {
  const shelf = new MemoryShelf()
  await new Users(shelf).signUp('Ada', 'ada@example.org', PASSWORD)

  t.regex(shelf.byEmail('ada@example.org')?.password ?? '', /^32768:8:3:/)
})

test('a template escapes what is put in, and nothing twice', (t) => {
  const evil = `<a href="x" title='y'>&`

  t.is(
    html`<p title="${evil}">${html`<b>${evil}</b>`}${[1, html`<i></i>`]}${false}${undefined}</p>`.text,
    '<p title="&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;"><b>&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;</b>1<i></i></p>',
  )
  t.true(html`` instanceof Html)
})

for (const [userAgent, name] of [
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0',
    'Edge on Windows',
  ],
  [
    'Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36',
    'Chrome on Android',
  ],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15',
    'Safari on macOS',
  ],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0', 'Firefox on Linux'],
  ['curl/8.0', 'A browser'],
] as const) {
  test(`a device is called ${name}`, (t) => t.is(deviceOf(userAgent), name))
}

test('a length of time is told in its largest unit', (t) => {
  const minute = 60_000

  t.deepEqual([0, minute, 59 * minute, 60 * minute, 47 * 60 * minute, 48 * 60 * minute].map(span), [
    'less than a minute',
    '1 minute',
    '59 minutes',
    '1 hour',
    '1 day',
    '2 days',
  ])
})

async function demo(t: ExecutionContext, database: string): Promise<{ running: Running; port: number }> {
  const port = await freePort()
  const running = start(
    'env',
    [
      `PORT=${port}`,
      `DATABASE=${database}`,
      process.execPath,
      '--import',
      './test/support/loader.js',
      'example/demo/main.ts',
    ],
    { cwd: ROOT },
  )
  t.teardown(() => running.stop())
  await listening(port, running)
  return { running, port }
}

test('the demo starts without any set-up, says where it is and where it keeps things, and ends when it is told to', async (t) => {
  const database = join(temporaryFolder(), 'demo.db')
  const { running, port } = await demo(t, database)

  t.is((await new Browser(`http://127.0.0.1:${port}`).get('/')).status, 200)
  await running.stop('SIGTERM')

  t.is(running.process.exitCode, 0)
  const where = nodeSqlite === undefined ? 'in memory, until it stops' : `in ${database}`
  t.true(running.output().includes(`http://localhost:${port}, accounts and sessions ${where}`))
  t.is(existsSync(database), nodeSqlite !== undefined)
})

test('a port that is taken is told in a sentence, with a way out', async (t) => {
  const { port } = await demo(t, join(temporaryFolder(), 'demo.db'))
  const second = start(
    'env',
    [
      `PORT=${port}`,
      `DATABASE=${join(temporaryFolder(), 'demo.db')}`,
      process.execPath,
      '--import',
      './test/support/loader.js',
      'example/demo/main.ts',
    ],
    { cwd: ROOT },
  )
  t.teardown(() => second.stop())

  const code = await new Promise((resolve) => second.process.once('close', resolve))

  t.is(code, 1)
  t.true(second.output().includes(`Something listens on port ${port} already`))
})

if (nodeSqlite !== undefined) {
  test('accounts, sessions and cookies outlive a restart of the demo', async (t) => {
    const database = join(temporaryFolder(), 'demo.db')
    const post = (port: number, fields: Record<string, string>) => ({
      method: 'POST',
      headers: { origin: `http://127.0.0.1:${port}` },
      body: new URLSearchParams(fields),
    })
    const first = await demo(t, database)
    const browser = new Browser(`http://127.0.0.1:${first.port}`)
    t.is(
      (await browser.get('/sign-up', post(first.port, { name: 'Ada', email: 'ada@example.org', password: PASSWORD })))
        .status,
      303,
    )
    const cookie = await browser.cookie()
    await first.running.stop('SIGTERM')

    const second = await demo(t, database)

    const account = await new Browser(`http://127.0.0.1:${second.port}`).send('/account', cookie)
    t.is(account.status, 200)
    t.true(account.body.includes('ada@example.org'))
  })
}
