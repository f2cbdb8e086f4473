// What somebody reads who made one of the usual mistakes: what happened, and what to do.
import type { AddressInfo } from 'node:net'
import test from 'ava'
import Koa from 'koa'
import { currentSession, MemoryStore, session, type SessionOptions } from '../../src/index.ts'
import { served } from '../support/app.ts'
import { mounted } from '../support/mounted.ts'
import { settle, warnings } from '../support/warnings.ts'

// The first one: afterwards a request has come to a session in this process.
test.serial(
  'a handler that is mounted before session() fails, and once it is said where session() belongs',
  async (t) => {
    const seen = warnings(t)
    const app = new Koa()
    app.use((ctx, next) => {
      if (ctx.path === '/fine') return (ctx.body = 'fine')
      if (ctx.path === '/current') return (ctx.body = currentSession().publicId)
      return ctx.path === '/state' ? (ctx.body = ctx.state.session.data) : next()
    })
    app.use(session())
    const running = await served(t, app)
    const browser = running.browser()
    await browser.get('/fine')
    await settle()
    t.deepEqual(seen, [])
    await browser.get('/state')
    await browser.get('/current')
    await settle()

    t.is(
      (running.errors[1] as Error).message,
      'currentSession() was called outside a request: mount session() before the middleware that calls it, or bind the callback with bindSession()',
    )
    t.deepEqual(
      seen.map(({ code, message }) => [code, message]),
      [
        [
          'KOA_FASTSESSION_NOT_REACHED',
          'a request was answered with 500, and none has come to session() so far: if its handler needs a session, mount session() before it',
        ],
      ],
    )
  },
)

test('forgotten keys fail the first request, and say where they go', async (t) => {
  const app = new Koa()
  app.use(session())
  app.silent = true
  const thrown = new Promise<Error & { code?: string }>((resolve) => app.once('error', resolve))
  const server = app.listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const { status } = await fetch(`http://127.0.0.1:${port}/`)

  t.is(status, 500)
  t.like(await thrown, {
    code: 'ERR_INVALID_ARG_TYPE',
    message:
      'options.keys or app.keys must be a Keygrip or a non-empty list of secrets, newest first, got undefined: give keys to session(), or set app.keys before the first request; below koa-mount the keys of the outer app count',
  })
})

const KEYS = 'options.keys must be a Keygrip or a non-empty list of secrets, newest first'
const SECRET = 'options.keys[0] must be a secret of at least one character that is no space; 32 random ones are good'
const UNSET = 'where it comes from the environment, is its variable set?'
const NOT_A_STORE =
  'a database client goes into a store, new RedisStore(client), and a store of koa-session, express-session or Keyv through koa-fastsession/adapters'

const mistakes: readonly [what: string, options: unknown, message: string][] = [
  [
    'one secret, not in a list',
    { keys: 'a secret of some length' },
    `${KEYS}, got a string of 23 characters: put it into a list, [secret]`,
  ],
  [
    'a secret from a variable that is not set',
    { keys: [process.env['KOA_FASTSESSION_NO_SUCH']] },
    `${SECRET}, got undefined: ${UNSET}`,
  ],
  [
    'secrets split from a variable that is not set',
    { keys: ''.split(',') },
    `${SECRET}, got an empty string: ${UNSET}`,
  ],
  [
    'one encryption key, not in a list',
    { encryptionKeys: 'secret' },
    'options.encryptionKeys must be a non-empty list of secrets, newest first, got a string of 6 characters: put it into a list, [secret]',
  ],
  [
    'a database client for a store',
    { store: { sendCommand: () => undefined } },
    `options.store.create must be a function, got undefined: ${NOT_A_STORE}`,
  ],
  [
    'a store of the Koa world, unadapted',
    { store: { get: () => undefined, set: () => undefined, destroy: () => undefined } },
    `options.store.create must be a function, got undefined: ${NOT_A_STORE}`,
  ],
  [
    'the class of a store',
    { store: MemoryStore },
    'options.store must be a session store, got a function: such as new MemoryStore()',
  ],
  [
    'the app, as for koa-session',
    new Koa(),
    'session() takes options, not the app: write app.use(session()), it finds app.keys by itself',
  ],
  ['a store, not in options', new MemoryStore(), 'options must be a plain object such as { store }, got an object'],
  [
    'a URL for a domain',
    { cookie: { domain: 'https://example.com' } },
    'options.cookie.domain must be a host name, such as example.com, got a string of 19 characters',
  ],
]

for (const [what, options, message] of mistakes) {
  test(`${what}: ${message}`, (t) => {
    t.throws(() => session(options as SessionOptions), { instanceOf: TypeError, message })
  })
}

const elsewhere: readonly [name: string, here: string][] = [
  ['key', 'cookie: { name }'],
  ['httpOnly', 'cookie: { httpOnly }'],
  ['sameSite', 'cookie: { sameSite }'],
  ['renew', 'rolling: true'],
  ['secret', 'keys: [secret]'],
  ['ttl', 'idleTimeout'],
  ['genid', 'generateId'],
  ['saveUninitialized', 'lazy, the other way round'],
]

for (const [name, here] of elsewhere) {
  test(`the option ${name} of another package is refused with its name here: ${here}`, (t) => {
    const { message } = t.throws(() => session({ [name]: 1 }), { code: 'ERR_INVALID_ARG_VALUE' })

    t.true(
      message.startsWith(`options.${name} is no option, here it is ${here}: the options are keys, store, `),
      message,
    )
  })
}

test('what every object has is no option of another package', (t) => {
  t.throws(() => session({ ['constructor']: 1 } as object), {
    message: /^options\.constructor is no option: the options are /,
  })
})

test('app.use(session) without the call says how to write it', async (t) => {
  const app = new Koa()
  // A middleware that was not made yet: TypeScript would say so.
  app.use(session as unknown as Koa.Middleware)
  const running = await served(t, app)
  await running.browser().get('/')

  t.like(running.errors[0], {
    code: 'ERR_INVALID_ARG_VALUE',
    message: 'session was mounted without being called: write app.use(session()), not app.use(session)',
  })
})

test('session.data = null names clear() and destroy()', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        session.data = null as unknown as object
      },
    },
  )
  await app.browser().get('/')

  t.like(app.errors[0], {
    message: 'session.data must be a plain object, got null: to empty it call clear(), to end the session destroy()',
  })
})

const causes: readonly [what: string, cause: unknown, kind: string][] = [
  [
    'a code',
    Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' }),
    ' (ECONNREFUSED)',
  ],
  ['a class', new RangeError('with args beginning with: data'), ' (RangeError)'],
  ['neither', new Error('with args beginning with: data'), ''],
  ['a code that is a sentence', Object.assign(new Error('failed'), { code: 'with args beginning with: data' }), ''],
]

for (const [what, cause, kind] of causes) {
  test(`an outage whose cause has ${what} is told as "failed at create${kind}", without the words of the driver`, async (t) => {
    const app = await mounted(t, {}, { '/': ({ data }) => (data.n = 1) })
    app.store.next('create', { kind: 'fail', error: cause })
    await app.browser().get('/')

    t.like(app.errors[0], {
      code: 'ERR_SESSION_STORE',
      message: `the session store failed at create${kind}: error.cause says why`,
      cause,
    })
  })
}
