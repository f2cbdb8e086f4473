import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, type SessionError } from '../../src/index.ts'
import { jsonCodec } from '../../src/record/codec.ts'
import type { SchemaIssue, SchemaResult, StandardSchema } from '../../src/record/schema.ts'
import { validated } from '../../src/record/schema.ts'
import type { Browser } from '../support/app.ts'
import { Barrier } from '../support/faults.ts'
import { hear, keyIn, mounted, type Handler, type Mounted, type Session, type Things } from '../support/mounted.ts'

const codec = jsonCodec(1000)
const schema = <Output>(
  validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>,
): StandardSchema<Output> => ({ '~standard': { validate } })
const issuing = (...issues: SchemaIssue[]): StandardSchema => schema(() => ({ issues }))

/** n is a number above 0, where it is there; a text is an older shape of it. */
const counts = (isAsync: boolean): StandardSchema<Things> =>
  schema((value) => {
    const { n } = value as { n?: unknown }
    const result: SchemaResult<Things> =
      n === undefined || (typeof n === 'number' && n > 0)
        ? { value: value as Things }
        : typeof n === 'string'
          ? { value: { ...(value as Things), n: Number(n) } }
          : { issues: [{ message: `${JSON.stringify(n)} is a secret value`, path: ['n'] }] }
    return isAsync ? Promise.resolve(result) : result
  })

test('the output of a schema is the data, be it promised', async (t) => {
  t.deepEqual(
    await validated(
      schema(() => ({ value: { a: 1 } })),
      {},
      codec,
    ),
    { a: 1 },
  )
  t.deepEqual(
    await validated(
      schema(() => Promise.resolve({ value: { a: 1 } })),
      {},
      codec,
    ),
    { a: 1 },
  )
})

test.serial('what a schema fills in is no merge with another request', async (t) => {
  const store = new MemoryStore()
  const before = await mounted(t, { store }, { '/': ({ data }) => void (data.name = 'ada') })
  const browser = before.browser()
  await browser.get('/')
  const filling = schema((value) => ({ value: { n: 1, ...(value as Things) } }))
  const app = await mounted(t, { store, schema: filling }, { '/': ({ data }) => (data.name = `${data.name}${data.n}`) })
  const heard = hear(t, 'merge')

  t.is((await app.browser().send('/', await browser.cookie())).body, 'ada1')
  t.deepEqual(heard, [])
})

test('a schema may write into what it is given: it is a copy', async (t) => {
  const data = Object.freeze({ a: Object.freeze({ b: 1 }) })
  await validated(
    schema((value) => ({ value: Object.assign((value as typeof data).a, { b: 2 }) })),
    data,
    codec,
  )

  t.deepEqual(data, { a: { b: 1 } })
})

test('issues are told by their paths, each once, and never by their messages', async (t) => {
  const issues: SchemaIssue[] = [
    { message: 'a secret', path: ['user', { key: 'tags' }, 0] },
    { message: 'a secret again', path: ['user', 'tags', 0] },
    { message: 'another secret', path: [{ key: Symbol('mark') }] },
    { message: 'and one more' },
  ]
  const error = await t.throwsAsync(validated(issuing(...issues), {}, codec), { code: 'ERR_SESSION_SCHEMA' })

  t.true(
    error.message.startsWith(
      'session data does not satisfy options.schema at data.user.tags.0, data.Symbol(mark), data: ',
    ),
    error.message,
  )
  t.false(error.message.includes('secret'))
})

const noObjects: Record<string, unknown> = {
  nothing: undefined,
  null: null,
  'a text': 'text',
  'a list': [1],
  'a Map': new Map([['a', 1]]),
  'a Date': new Date(),
  'an instance of a class': new URL('http://cart.example'),
  'a function': () => 1,
}

for (const [what, output] of Object.entries(noObjects)) {
  test(`a schema that makes ${what} of data is refused`, async (t) => {
    await t.throwsAsync(
      validated(
        schema(() => ({ value: output })),
        {},
        codec,
      ),
      {
        code: 'ERR_SESSION_SCHEMA',
        message: 'options.schema must make a plain object of session data: not a list, a Map or an instance of a class',
      },
    )
  })
}

test('a schema that throws or rejects by itself is ERR_SESSION_SCHEMA, without what it threw', async (t) => {
  const faults: readonly [unknown, string][] = [
    [new TypeError('cannot read hunter2'), 'options.schema threw a TypeError instead of answering'],
    [new Error('hunter2'), 'options.schema threw instead of answering'],
    ['hunter2', 'options.schema threw instead of answering'],
    [undefined, 'options.schema threw instead of answering'],
  ]
  for (const [fault, message] of faults) {
    const throwing = schema(() => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- a schema may throw anything
      throw fault
    })
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the same
    const rejecting = schema(() => Promise.reject(fault))
    for (const each of [throwing, rejecting]) {
      const error = await t.throwsAsync(validated(each, {}, codec), { code: 'ERR_SESSION_SCHEMA' })
      t.true(error.message.startsWith(message), error.message)
      t.false(inspect(error, { depth: Infinity, showHidden: true }).includes('hunter2'))
    }
  }
})

test('a schema whose answer throws as it is looked at is ERR_SESSION_SCHEMA, without what it threw', async (t) => {
  const fail = (): never => {
    throw new Error('hunter2')
  }
  const answers: readonly object[] = [
    Object.defineProperty({}, 'value', { get: fail }),
    Object.defineProperty({}, 'issues', { get: fail }),
    { value: new Proxy({}, { getPrototypeOf: fail }) },
    { issues: [Object.defineProperty({ message: '' }, 'path', { get: fail })] },
    Object.defineProperty({}, 'then', { get: fail }),
  ]
  for (const answer of answers) {
    const error = await t.throwsAsync(
      validated(
        schema(() => answer as SchemaResult<unknown>),
        {},
        codec,
      ),
      { code: 'ERR_SESSION_SCHEMA', message: /^options\.schema threw instead of answering/ },
    )
    t.notRegex(inspect(error), /hunter2/)
  }
})

test('a schema that answers something else than a result is refused, whatever its issues are', async (t) => {
  const answers: unknown[] = [undefined, null, 5, 'valid', true]
  for (const answer of answers) {
    await t.throwsAsync(
      validated(
        schema(() => answer as { value: unknown }),
        {},
        codec,
      ),
      {
        code: 'ERR_SESSION_SCHEMA',
        message: /^options\.schema gave no result/,
      },
    )
  }
  const issues: unknown[] = [
    null,
    5,
    'x',
    {},
    [],
    [null, 5, { path: 7 }],
    [{ path: [{ key: {} }, null, { toString: 5 }] }],
  ]
  for (const odd of issues) {
    await t.throwsAsync(
      validated(
        schema(() => ({ issues: odd as readonly SchemaIssue[] })),
        {},
        codec,
      ),
      {
        code: 'ERR_SESSION_SCHEMA',
        message: /^session data does not satisfy options\.schema at data/,
      },
    )
  }
})

test('of thousands of issues ten paths are named, on one line', async (t) => {
  const many = Array.from({ length: 5000 }, (_, at) => ({ message: '', path: [`key\n${at}`.repeat(200)] }))
  const { message } = await t.throwsAsync(validated(issuing(...many), {}, codec))

  t.regex(message, / and 4990 more: /)
  t.false(message.includes('\n'))
  t.true(message.length < 6000)
})

for (const [how, isAsync] of [
  ['a schema', false],
  ['a schema that promises', true],
] as const) {
  test(`${how} refuses at commit what does not satisfy it, and the stored session stays as it was`, async (t) => {
    const app = await mounted(
      t,
      { schema: counts(isAsync) },
      {
        '/good': (session) => (session.data.n = 1),
        '/bad': (session) => (session.data.n = -1),
        '/read': (session) => session.data,
      },
    )
    const browser = app.browser()
    await browser.get('/good')
    const answer = await browser.get('/bad')

    t.is(answer.status, 500)
    t.like(app.errors[0], {
      code: 'ERR_SESSION_SCHEMA',
      message:
        'session data does not satisfy options.schema at data.n: let the schema transform stored data of an older shape, or write data that fits',
    })
    t.is((await browser.get('/read')).body, '{"n":1}')
  })

  test(`${how} makes today's data of an older shape at load, without a write`, async (t) => {
    const app = await mounted(
      t,
      { schema: counts(isAsync) },
      { '/read': (session) => session.data, '/change': (session) => (session.data.name = 'ada') },
    )
    const browser = app.browser()
    await browser.get('/change')
    const key = keyIn(await browser.cookie())
    const record = await app.store.read(key, Date.now())
    if (record === undefined) return t.fail('not stored')
    await app.store.replace({ ...record, version: 2, payload: '{"n":"7"}' }, 1, Date.now())
    app.store.counted()

    t.is((await browser.get('/read')).body, '{"n":7}')
    t.deepEqual(app.store.counted(), { read: 1 })
    await browser.get('/change')
    t.is((await app.store.read(key, Date.now()))?.payload, '{"n":7,"name":"ada"}')
  })
}

test('a stored session that a schema refuses is an error where its data is looked at, and is left alone', async (t) => {
  let isStrict = false
  const strict = schema<Things>((value) =>
    isStrict ? { issues: [{ message: 'no', path: ['n'] }] } : { value: value as Things },
  )
  const app = await mounted(
    t,
    { schema: strict },
    {
      '/set': (session) => (session.data.n = 1),
      '/read': (session) => ({ ...session.data }),
      '/origin': ({ origin }) => origin,
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  isStrict = true
  const answer = await browser.get('/read')

  t.is(answer.status, 500)
  t.like(app.errors[0], { code: 'ERR_SESSION_SCHEMA' })
  t.deepEqual(answer.setCookie, [])
  t.is((await browser.get('/origin')).body, 'resumed')
  isStrict = false
  t.is((await browser.get('/read')).body, '{"n":1}')
})

for (const koaSession of [false, true]) {
  test(`a schema that makes of stored data what cannot be stored is an error where data is looked at, and locks nobody out, koaSession ${koaSession}`, async (t) => {
    const codec = {
      stringify: (value: unknown) => JSON.stringify(value),
      parse: (text: string) => JSON.parse(text) as unknown,
    }
    const dating = schema((value) => ({ value: { ...(value as Things), thing: new Date(5) } }))
    const app = await mounted(
      t,
      { schema: dating, koaSession, codec },
      {
        '/in': (session) => session.signIn('ada'),
        '/read': ({ data }) => ({ ...data }),
        '/owner': ({ owner }) => owner,
        '/out': (session) => session.destroy(),
      },
    )
    const browser = app.browser()
    await browser.get('/in')

    t.is((await browser.get('/read')).status, 500)
    t.like(app.errors[0], { code: 'ERR_SESSION_VALUE' })
    t.true(String(app.errors[0]).includes('session.data.thing'), String(app.errors[0]))
    t.is((await browser.get('/owner')).body, 'ada')
    t.is((await browser.get('/out')).status, 200)
    t.is((await browser.get('/owner')).body, 'done')
  })
}

test('stored data that a schema refuses is refused after regenerate(), until nothing of it is left', async (t) => {
  let isStrict = false
  const strict = schema<Things>((value) =>
    isStrict && 'n' in (value as Things) ? { issues: [{ message: 'no', path: ['n'] }] } : { value: value as Things },
  )
  const ways: Record<string, Handler> = {
    '/all': (session) => session.regenerate(),
    '/none': (session) => session.regenerate({ keep: false }),
    '/name': (session) => session.regenerate({ keep: ['name'] }),
    '/in': (session) => session.signIn('ada'),
  }
  const after = (regenerate: Handler): Handler => {
    return async (session, ctx) => {
      await regenerate(session, ctx)
      return { ...session.data }
    }
  }
  const app = await mounted(
    t,
    { schema: strict },
    {
      '/set': ({ data }) => Object.assign(data, { n: 1, name: 'ada' }),
      ...Object.fromEntries(Object.entries(ways).map(([path, way]) => [path, after(way)])),
    },
  )
  const answers: unknown[] = []
  for (const path of Object.keys(ways)) {
    const browser = app.browser()
    isStrict = false
    await browser.get('/set')
    isStrict = true
    const { status, body } = await browser.get(path)
    answers.push(status === 200 ? body : status)
  }

  t.deepEqual(answers, [500, '{}', '{"name":"ada"}', '{}'])
  t.like(app.errors, [{ code: 'ERR_SESSION_SCHEMA' }])
})

test('a schema that never answers is ERR_SESSION_SCHEMA after storeTimeout, and nothing is stored', async (t) => {
  t.timeout(20_000)
  const silent = schema<Things>(() => new Promise<never>(() => undefined))
  const app = await mounted(t, { schema: silent, storeTimeout: 50 }, { '/n': (session) => (session.data.n = 1) })

  const { status, setCookie } = await app.browser().get('/n')

  t.deepEqual([status, setCookie], [500, []])
  t.like(app.errors[0], { code: 'ERR_SESSION_SCHEMA' })
  t.is(app.store.calls.create, 0)
})

test('the empty data of a new session is checked only at commit', async (t) => {
  const named = schema<Things>((value) =>
    (value as Things).name === undefined ? { issues: [{ message: 'no', path: ['name'] }] } : { value: value as Things },
  )
  const app = await mounted(
    t,
    { schema: named },
    {
      '/look': (session) => session.data,
      '/n': (session) => (session.data.n = 1),
      '/name': (session) => (session.data.name = 'ada'),
    },
  )

  t.is((await app.browser().get('/look')).status, 200)
  t.is((await app.browser().get('/n')).status, 500)
  t.is((await app.browser().get('/name')).status, 200)
})

test('empty data that a handler stores is checked at commit, unless it is filled by then', async (t) => {
  const named = schema<Things>((value) =>
    (value as Things).name === undefined ? { issues: [{ message: 'no', path: ['name'] }] } : { value: value as Things },
  )
  const name = (session: Session): string => (session.data.name = 'ada')
  const ways: Readonly<Record<string, (session: Session) => unknown>> = {
    save: (session) => session.save(),
    signIn: (session) => session.signIn('ada'),
    regenerate: (session) => session.regenerate({ keep: false }),
    'clear and save': (session) => {
      session.clear()
      return session.save()
    },
    'clear in update': (session) =>
      session.update((data) => {
        delete data.name
      }),
  }
  for (const [way, empty] of Object.entries(ways)) {
    for (const isStored of [true, false]) {
      if (!isStored && way !== 'save' && way !== 'signIn') continue
      const app = await mounted(
        t,
        { schema: named },
        {
          '/name': name,
          '/empty': async (session) => {
            await empty(session)
          },
          '/fill': async (session) => {
            await empty(session)
            name(session)
          },
        },
      )
      const browser = app.browser()
      if (isStored) await browser.get('/name')
      // A session that goes on under a new id with nothing in it is a logout.
      const isAnswered = way === 'regenerate' || (isStored && (way === 'save' || way === 'signIn'))

      t.is((await browser.get('/fill')).status, 200, `${way}, filled`)
      t.is((await browser.get('/name')).status, 200, `${way}, filled`)
      t.is((await (isStored ? browser : app.browser()).get('/empty')).status, isAnswered ? 200 : 500, way)
      t.deepEqual(
        app.errors.map((error) => (error as SessionError).code),
        isAnswered ? [] : ['ERR_SESSION_SCHEMA'],
        way,
      )
    }
  }
})

test("a schema's output at commit is discarded", async (t) => {
  const adding = schema<Things>((value) => ({ value: { ...(value as Things), other: 'added' } }))
  const app = await mounted(t, { schema: adding }, { '/set': (session) => (session.data.n = 1) })
  const { setCookie } = await app.browser().get('/set')

  t.is((await app.store.read(keyIn(setCookie[0]), Date.now()))?.payload, '{"n":1}')
})

test('update() and regenerate() store nothing that does not satisfy the schema', async (t) => {
  const app = await mounted(
    t,
    { schema: counts(false) },
    {
      '/good': (session) => (session.data.n = 1),
      '/update': (session) => session.update((data) => void (data.n = -1)),
      '/regenerate': async (session) => {
        session.data.n = -1
        await session.regenerate()
      },
    },
  )
  const browser = app.browser()
  await browser.get('/good')
  app.store.counted()

  for (const path of ['/update', '/regenerate']) {
    const answer = await browser.get(path)
    t.is(answer.status, 500)
    t.deepEqual(answer.setCookie, [])
    t.deepEqual(app.store.counted(), { read: 1 })
  }
})

test.serial(
  'with a schema a session that cannot be read is rejected before the handlers run, and one that can is resumed',
  async (t) => {
    const heard = hear(t, 'reject', 'resume')
    const app = await mounted(
      t,
      { schema: counts(true) },
      { '/set': (session) => (session.data.n = 1), '/origin': ({ origin }) => origin },
    )
    const browser = app.browser()
    await browser.get('/set')
    const publicId = keyIn(await browser.cookie())
    await browser.get('/origin')
    const record = await app.store.read(publicId, Date.now())
    if (record === undefined) return t.fail('not stored')
    await app.store.replace({ ...record, version: 2, payload: 'cut off' }, 1, Date.now())

    t.is((await browser.get('/origin')).body, 'expired')
    t.deepEqual(heard, [
      ['resume', { publicId }],
      ['reject', { publicId, reason: 'corrupt' }],
    ])
  },
)

test('updateAll() passes over stored data that does not satisfy the schema, and refuses what its function makes of the others', async (t) => {
  const handlers = { '/in': (session: Session) => session.signIn('ada'), '/bad': ({ data }: Session) => (data.n = -1) }
  const plain = await mounted(t, {}, handlers)
  const [good, bad] = [plain.browser(), plain.browser()]
  for (const browser of [good, bad]) await browser.get('/in')
  await bad.get('/bad')
  const { middleware } = await mounted(t, { store: plain.store, schema: counts(false) }, handlers)

  t.is(await middleware.updateAll('ada', (data) => (data.n = 1)), 1)
  await t.throwsAsync(
    middleware.updateAll('ada', (data) => (data.n = -5)),
    { code: 'ERR_SESSION_SCHEMA' },
  )

  const stored = await plain.middleware.list('ada')
  t.deepEqual(stored.map(({ data }) => data?.n).sort(), [-1, 1])
})

test('updateAll() passes over a session of which the schema makes what cannot be stored, as over one that it refuses', async (t) => {
  const store = new MemoryStore()
  const before = await mounted(
    t,
    { store },
    {
      '/old': async (session) => {
        await session.signIn('ada')
        session.data.thing = 'old'
      },
      '/new': (session) => session.signIn('ada'),
    },
  )
  await before.browser().get('/old')
  await before.browser().get('/new')
  const dating = schema((value) => {
    const things = value as Things
    return { value: things.thing === undefined ? things : { ...things, thing: new Date(5) } }
  })
  const app = await mounted(t, { store, schema: dating }, {})

  t.is(await app.middleware.updateAll('ada', (data) => void (data.n = 1)), 1)
})

test('with koaSession stored data that does not satisfy the schema is empty to its request alone', async (t) => {
  const handlers = {
    '/in': (session: Session) => session.signIn('ada'),
    '/bad': ({ data }: Session) => (data.n = -1),
    '/read': ({ data }: Session) => ({ ...data }),
  }
  const plain = await mounted(t, {}, handlers)
  const browser = plain.browser()
  await browser.get('/in')
  await browser.get('/bad')
  const app = await mounted(t, { store: plain.store, schema: counts(false), koaSession: true }, handlers)
  const { middleware } = app
  const [info] = await middleware.list('ada')
  const publicId = info?.publicId ?? ''
  const scanned: unknown[] = []
  for await (const { data } of middleware.scan()) scanned.push(data)

  t.is(info?.data, undefined)
  t.deepEqual(scanned, [undefined])
  t.like(await middleware.get(publicId), { publicId, data: undefined })
  t.is(await middleware.updateAll('ada', (data) => (data.n = 1)), 0)
  await t.throwsAsync(
    middleware.update(publicId, (data) => (data.n = 1)),
    { code: 'ERR_SESSION_SCHEMA' },
  )
  t.is((await app.browser().send('/read', await browser.cookie())).body, '{}')
  t.like(await plain.middleware.get(publicId), { data: { n: -1 } })
})

test('a schema that is late once has said nothing of stored data, which is neither hidden, dropped nor passed over', async (t) => {
  let isLate = false
  const slow = schema((value) => {
    if (!isLate) return { value: value as Things }
    isLate = false
    return new Promise<never>(() => undefined)
  })
  const handlers: Readonly<Record<string, Handler>> = {
    '/fill': ({ data }) => void (data.name = 'ada'),
    '/count': ({ data }) => void (data.n = 1),
    '/in': (session) => session.signIn('ada'),
    '/read': ({ data }) => ({ ...data }),
  }
  const options = { schema: slow, storeTimeout: 50 }
  const app = await mounted(t, options, handlers)
  const asKoaSession = await mounted(t, { ...options, store: app.store, koaSession: true }, handlers)
  const browser = app.browser()
  await browser.get('/fill')

  isLate = true
  t.is((await asKoaSession.browser().send('/count', await browser.cookie())).status, 500)
  isLate = true
  t.is((await browser.get('/in')).status, 200)
  isLate = true
  await t.throwsAsync(
    app.middleware.updateAll('ada', () => undefined),
    { code: 'ERR_SESSION_SCHEMA' },
  )

  t.is((await browser.get('/read')).body, '{"name":"ada"}')
  t.is(await app.middleware.updateAll('ada', () => undefined), 1)
})

/** Stores n: -1, then mounts nothing new: from here on the schema wants n: 1. */
async function refused(
  t: ExecutionContext,
  handlers: Record<string, Handler>,
): Promise<{ app: Mounted; browser: Browser }> {
  let isStrict = false
  const schema: StandardSchema<Things> = {
    '~standard': {
      validate: (value) =>
        isStrict && (value as Things).n !== 1
          ? { issues: [{ message: 'no', path: ['n'] }] }
          : { value: value as Things },
    },
  }
  const app = await mounted(t, { schema }, { '/set': ({ data }) => (data.n = -1), ...handlers })
  const browser = app.browser()
  await browser.get('/set')
  isStrict = true
  return { app, browser }
}

test('refused data is refused again where what should replace it could not be stored', async (t) => {
  const { app, browser } = await refused(t, {
    '/read': async (session) => {
      session.data = { n: -2 }
      await t.throwsAsync(async () => session.save(), { code: 'ERR_SESSION_SCHEMA' })
      return { ...session.data }
    },
  })

  t.is((await browser.get('/read')).status, 500)
  t.like(app.errors[0], { code: 'ERR_SESSION_SCHEMA' })
})

test('signIn drops refused data also after a replacement that could not be stored', async (t) => {
  const { browser } = await refused(t, {
    '/in': async (session) => {
      session.data = { n: -2 }
      await t.throwsAsync(async () => session.save(), { code: 'ERR_SESSION_SCHEMA' })
      await session.signIn('ada')
      return { ...session.data }
    },
  })

  t.is((await browser.get('/in')).body, '{}')
})

for (const [what, use] of [
  ['could not be stored at the end', ({ data }: Session) => void (data.name = 'x'.repeat(70_000))],
  [
    'was dropped',
    () => {
      throw new Error('of the handler')
    },
  ],
] as const)
  test(`refused data is refused again after the request where what should replace it ${what}`, async (t) => {
    let late: Session | undefined
    const { browser } = await refused(t, {
      '/mend': (session) => {
        late = session
        session.data = { n: 1 }
        use(session)
      },
    })
    t.is((await browser.get('/mend')).status, 500)

    await t.throwsAsync(async () => late?.update(() => t.fail()), { code: 'ERR_SESSION_SCHEMA' })
    t.throws(() => late?.data, { code: 'ERR_SESSION_SCHEMA' })
  })

for (const [what, begin] of [
  ['stores something beside it', (session: Session) => session.flash('note', 'hello')],
  ['fails to store another replacement', (session: Session) => void (session.data = { n: -2 })],
] as const)
  test(`data assigned over refused data can be read after a save() under way ${what}`, async (t) => {
    const { browser } = await refused(t, {
      '/mend': async (session) => {
        begin(session)
        const saved = session.save().catch(() => undefined)
        session.data = { n: 1 }
        await saved
        return { ...session.data }
      },
    })

    const { status, body } = await browser.get('/mend')
    t.deepEqual([status, body], [200, '{"n":1}'])
  })

test('signIn keeps data that another request has put in the place of refused data meanwhile', async (t) => {
  const { app, browser } = await refused(t, {
    '/mend': (session) => void (session.data = { n: 1 }),
    '/in': async (session) => {
      await session.signIn('ada')
      return { ...session.data }
    },
  })
  const creating = app.store.pause('create')
  const signingIn = (await browser.twin()).get('/in')
  await creating.arrived
  t.is((await browser.get('/mend')).status, 200)
  creating.open()

  t.is((await signingIn).body, '{"n":1}')
})

const mends: Record<string, Handler> = {
  'save()': async (session) => {
    await session.save()
    return { ...session.data }
  },
  'update()': async (session) => {
    await session.update(() => undefined)
    return { ...session.data }
  },
}
for (const [verb, mend] of Object.entries(mends)) {
  test(`data assigned over refused data is stored by ${verb} and can be read, whatever another request stored meanwhile`, async (t) => {
    const held = new Barrier()
    const { browser } = await refused(t, {
      '/mend': async (session, ctx) => {
        await held.pass()
        session.data = { n: 1 }
        return mend(session, ctx)
      },
      '/flash': (session) => session.flash('note', 'hello'),
    })
    const mending = (await browser.twin()).get('/mend')
    await held.arrived
    t.is((await browser.get('/flash')).status, 200)
    held.open()

    const { status, body } = await mending
    t.deepEqual([status, body], [200, '{"n":1}'])
  })
}

test('a fresh start whose schema wants keys can be read at the next request, as a visitor without a session can', async (t) => {
  const named: StandardSchema<Things> = {
    '~standard': {
      validate: (value) =>
        (value as Things).name === undefined
          ? { issues: [{ message: 'no', path: ['name'] }] }
          : { value: value as Things },
    },
  }
  const app = await mounted(
    t,
    { schema: named },
    {
      '/in': async (session) => {
        session.data.name = 'ada'
        await session.signIn('ada')
      },
      '/out': async (session) => {
        await session.regenerate({ keep: false })
        session.flash('note', 'goodbye')
      },
      '/page': (session) => ({ note: session.flash('note'), ...session.data }),
    },
  )
  t.is((await app.browser().get('/page')).body, '{"note":[]}')
  const browser = app.browser()
  await browser.get('/in')
  await browser.get('/out')

  const { status, body } = await browser.get('/page')
  t.deepEqual([status, body], [200, '{"note":["goodbye"]}'])
})

for (const [first, second] of [
  ['save', 'signIn'],
  ['save', 'regenerate'],
  ['signIn', 'regenerate'],
] as const) {
  test(`empty data of a visitor is checked at commit also where the session was stored twice: ${first}, ${second}`, async (t) => {
    const wantsName = schema<Things>((value) =>
      (value as Things).name === undefined ? { issues: [{ message: 'no' }] } : { value: value as Things },
    )
    const steps = {
      save: (session: Session) => session.save(),
      signIn: (session: Session) => session.signIn('ada'),
      regenerate: (session: Session) => session.regenerate(),
    }
    const empty = async (session: Session): Promise<void> => {
      await steps[first](session)
      await steps[second](session)
    }
    const app = await mounted(
      t,
      { schema: wantsName },
      {
        '/empty': empty,
        '/fill': async (session) => {
          await empty(session)
          session.data.name = 'ada'
        },
      },
    )

    t.is((await app.browser().get('/fill')).status, 200)
    t.is((await app.browser().get('/empty')).status, 500)
    t.deepEqual(
      app.errors.map((error) => (error as SessionError).code),
      ['ERR_SESSION_SCHEMA'],
    )
  })
}
