// What lies in a store, byte by byte: what a stolen database or backup tells. Of every store the whole of it is dumped
// and searched, in all encodings that a store may have used.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, type SessionOptions } from '../../src/index.ts'
import { publicIdOf } from '../../src/cookie/id.ts'
import { served, type Browser } from '../support/app.ts'
import { closeDumps, dumpable, type Opened } from '../support/dumps.ts'
import { found } from '../support/found.ts'

const NEW = 'the newest encryption secret'
const OLD = 'an older encryption secret'

const NAME = 'Augusta Ada Byron'
const CITY = 'a house in St James Square'
const MESSAGE = 'a message for the next request'
const KEY = 'confidentialKeyName'

test.after.always(closeDumps)

interface Life {
  readonly browser: Browser
  /** What must not be found: each id that there was, its signature. */
  readonly secrets: Readonly<Record<string, string>>
}

/** A visitor who leaves data and messages behind, signs in, and changes both again. */
async function live(t: ExecutionContext, { store }: Opened, options: SessionOptions): Promise<Life> {
  const app = new Koa()
  app.use(session({ store, sweepInterval: false, storeTimeout: '20s', ...options }))
  const ids: string[] = []
  app.use(async (ctx) => {
    const manager = ctx.state.session
    const data = manager.data as Record<string, unknown>
    if (ctx.path === '/begin') Object.assign(data, { name: NAME, [KEY]: { city: CITY } })
    if (ctx.path === '/flash') manager.flash('info', MESSAGE)
    if (ctx.path === '/login') await manager.signIn('the owner')
    if (ctx.path === '/count') await manager.update((newest) => ((newest as { count?: number }).count = 1))
    ids.push(manager.id)
    ctx.body = { ...data }
  })
  const running = await served(t, app)
  const browser = running.browser()
  const cookies: string[] = []
  for (const path of ['/begin', '/flash', '/login', '/count']) {
    await browser.get(path)
    cookies.push(await browser.cookie())
  }
  const signatures = cookies.map((cookie) => cookie.slice(cookie.lastIndexOf('.') + 1))
  const named = (what: string, values: readonly string[]): Record<string, string> =>
    Object.fromEntries(values.map((value, at) => [`${what} ${at}`, value]))
  return { browser, secrets: { ...named('id', ids), ...named('signature', signatures) } }
}

const data = { name: NAME, city: CITY, message: MESSAGE, 'the name of a key': KEY }

for (const dumped of dumpable) {
  const { name } = dumped
  test(`${name}: no id and no signature is at rest; data is, without encryption`, async (t) => {
    const opened = await dumped.open()
    t.teardown(() => opened.close())
    const { secrets } = await live(t, opened, {})

    const dump = await opened.dump()

    t.is(Object.keys(secrets).length, 8)
    t.deepEqual(found(dump, secrets), [])
    t.deepEqual(found(dump, data), Object.keys(data))
  })

  test(`${name}: with encryptionKeys data, messages and the names of keys are not at rest either`, async (t) => {
    const opened = await dumped.open()
    t.teardown(() => opened.close())
    const { browser, secrets } = await live(t, opened, { encryptionKeys: [NEW] })

    const dump = await opened.dump()

    t.true(dump.length > 300)
    t.deepEqual(found(dump, { ...secrets, ...data, secret: NEW }), [])
    t.deepEqual(found(dump, { owner: 'the owner' }), ['owner'])
    t.deepEqual(JSON.parse((await browser.get('/')).body), { name: NAME, [KEY]: { city: CITY }, count: 1 })
  })

  test(`${name}: after a rotation nobody is logged out, and the next write names the newest key`, async (t) => {
    const opened = await dumped.open()
    t.teardown(() => opened.close())
    const before = await live(t, opened, { encryptionKeys: [OLD] })
    const cookie = await before.browser.cookie()
    const keyName = async (): Promise<string> => {
      const id = cookie.slice(cookie.indexOf('=') + 1, cookie.lastIndexOf('.'))
      const record = await opened.store.read(publicIdOf(id), Date.now())
      // The second to the seventh byte of a payload name the key that opens it.
      return Buffer.from(record?.payload as Uint8Array)
        .subarray(1, 7)
        .toString('hex')
    }
    const old = await keyName()
    const app = new Koa()
    const options = { encryptionKeys: [NEW, OLD], sweepInterval: false, storeTimeout: '20s' } as const
    app.use(session<{ count?: number }>({ ...options, store: opened.store }))
    app.use((ctx) => {
      const { data } = ctx.state.session as { data: { count?: number } }
      if (ctx.path === '/change') data.count = 2
      ctx.body = data.count
    })
    const after = await served(t, app)

    const look = await after.browser().send('/', cookie)
    const looked = await keyName()
    const change = await after.browser().send('/change', cookie)

    t.deepEqual([look.body, look.setCookie, change.body, change.setCookie], ['1', [], '2', []])
    t.is(looked, old)
    t.not(await keyName(), old)
  })
}

test('the search finds a text in every encoding that it knows', (t) => {
  for (const encoding of ['utf8', 'utf16le', 'hex', 'base64'] as const) {
    for (const before of ['', 'x', 'xy', 'xyz']) {
      const dump = Buffer.from(
        Buffer.from(`${before}${NAME}, and more`, encoding === 'utf16le' ? 'utf16le' : 'utf8').toString(
          encoding === 'utf16le' ? 'latin1' : encoding,
        ),
        'latin1',
      )

      t.deepEqual(found(dump, { name: NAME, city: CITY }), ['name'], `${encoding} after ${before}`)
    }
  }
})
