import test from 'ava'
import Koa from 'koa'
import { session, SessionError } from '../../src/index.ts'
import { served } from '../support/app.ts'
import { answering, hear, mounted, valueIn, type Handler, type Things } from '../support/mounted.ts'

const look: Handler = ({ data, origin }) => [origin, data]

/** An error as any library may throw it. */
const thrown = (properties: object): Error => Object.assign(new Error('thrown by the handler'), properties)

const answers: Record<string, unknown> = {
  'status 400': thrown({ status: 400 }),
  'status 403': thrown({ status: 403, expose: true }),
  'status 499': thrown({ status: 499 }),
  'statusCode 404': thrown({ statusCode: 404 }),
  'a status on a plain object': { status: 422 },
  'status 0 and statusCode 404': thrown({ status: 0, statusCode: 404 }),
  "an app's own SessionError": thrown({ name: 'SessionError', status: 401 }),
}

for (const [what, error] of Object.entries(answers)) {
  test(`an error with ${what} is an answer: it commits, and its cookie goes out with Vary and Cache-Control`, async (t) => {
    const app = await mounted(
      t,
      {},
      {
        '/': ({ data }) => {
          data.n = 1
          throw error
        },
        '/look': look,
      },
    )
    const browser = app.browser()
    const answer = await browser.get('/')

    t.is(answer.setCookie.length, 1)
    t.is(answer.headers.get('vary'), 'Cookie')
    t.is(answer.headers.get('cache-control'), 'no-store')
    t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
  })
}

const failures: Record<string, unknown> = {
  'no status': thrown({}),
  'status 500': thrown({ status: 500 }),
  'status 503 and expose': thrown({ status: 503, expose: true }),
  'status 399': thrown({ status: 399 }),
  'a status that is no number': thrown({ status: '403' }),
  'status 500 and statusCode 404': thrown({ status: 500, statusCode: 404 }),
  'a session error of 409': new SessionError('ERR_SESSION_CONFLICT', 'meanwhile'),
  'a session error of a later version': thrown({ name: 'SessionError', code: 'ERR_SESSION_OF_LATER', status: 409 }),
  'a string': 'thrown by the handler',
}

for (const [what, error] of Object.entries(failures)) {
  test(`an error with ${what} commits nothing and sends no cookie`, async (t) => {
    const app = await mounted(
      t,
      {},
      {
        '/': ({ data }) => {
          data.n = 1
          throw error
        },
      },
    )
    const answer = await app.browser().get('/')

    t.deepEqual(answer.setCookie, [])
    t.is(answer.headers.get('vary'), 'Cookie', 'it depends on the session all the same')
    t.deepEqual(app.store.counted(), {})
  })
}

test('what was stored before an error of 500 stays stored, and its cookie goes out with the answer', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/save': async (session) => {
        session.data.n = 1
        await session.save()
        session.data.n = 2
        throw thrown({})
      },
      '/look': look,
    },
  )
  const browser = app.browser()
  const answer = await browser.get('/save')

  t.is(answer.status, 500)
  t.is(answer.setCookie.length, 1)
  t.is(answer.headers.get('cache-control'), 'no-store')
  t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
})

for (const verb of ['regenerate', 'signIn', 'update', 'destroy'] as const) {
  test(`${verb}() before an error of 500 holds, its cookie included`, async (t) => {
    const app = await mounted(
      t,
      {},
      {
        '/set': ({ data }) => (data.n = 1),
        '/': async (session) => {
          if (verb === 'update') await session.update((data) => (data.n = 5))
          else if (verb === 'signIn') await session.signIn('ada')
          else await session[verb]()
          throw thrown({})
        },
        '/look': look,
      },
    )
    const browser = app.browser()
    await browser.get('/set')
    const cookie = await browser.cookie()
    const answer = await browser.get('/')

    t.is(answer.status, 500)
    t.is(answer.setCookie.length, verb === 'update' ? 0 : 1)
    t.is(
      (await browser.get('/look')).body,
      verb === 'destroy' ? '["new",{}]' : `["resumed",{"n":${verb === 'update' ? 5 : 1}}]`,
    )
    t.is((await browser.send('/look', cookie)).body, verb === 'update' ? '["resumed",{"n":5}]' : '["expired",{}]')
  })
}

test('a thrown error is passed on as it is, be it frozen', async (t) => {
  for (const status of [403, 500, undefined]) {
    const error = thrown({ status })
    Object.freeze(error)
    let caught: unknown
    const koa = new Koa()
    koa.use(async (ctx, next) => {
      await next().catch((thrown: unknown) => (caught = thrown))
      ctx.body = 'caught'
    })
    koa.use(session<Things>())
    koa.use(
      answering({
        '/': ({ data }) => {
          data.n = 1
          throw error
        },
      }),
    )
    const app = await served(t, koa)
    const { setCookie } = await app.browser().get('/')

    t.is(caught, error)
    t.is(setCookie.length, status === 403 ? 1 : 0)
  }
})

for (const [what, error] of Object.entries({
  'a getter': Object.defineProperty(thrown({}), 'status', {
    get() {
      throw new TypeError('nobody may ask')
    },
  }),
  'a proxy': new Proxy(thrown({}), {
    get() {
      throw new TypeError('nobody may ask')
    },
  }),
}))
  test(`an error whose status cannot be read (${what}) is passed on as it is, and commits nothing`, async (t) => {
    let caught: unknown
    let later: (() => Promise<unknown>) | undefined
    const koa = new Koa()
    koa.use(async (ctx, next) => {
      await next().catch((thrown: unknown) => void (caught = thrown))
      await later?.()
      ctx.body ??= 'caught'
    })
    const middleware = session<Things>()
    koa.use(middleware)
    koa.use(
      answering({
        '/set': ({ data }) => (data.n = 1),
        '/': (session) => {
          session.data.n = 2
          later = () => session.update((data) => (data.name = 'ada'))
          throw error
        },
        '/look': look,
      }),
    )
    const app = await served(t, koa)
    const browser = app.browser()
    await browser.get('/set')
    await browser.get('/')

    t.true(Object.is(caught, error))
    t.is((await browser.get('/look')).body, '["resumed",{"n":1,"name":"ada"}]')
  })

test('headers that the error asks for are sent beside ours, its own cookies too', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }, ctx) => {
        data.n = 1
        ctx.set('X-Lost', 'Koa drops it')
        throw thrown({ status: 401, headers: { 'WWW-Authenticate': 'Basic', 'Set-Cookie': 'app=1', Vary: 'Accept' } })
      },
    },
  )
  const { status, setCookie, headers } = await app.browser().get('/')

  t.is(status, 401)
  t.deepEqual(
    setCookie.map((line) => line.split('=')[0]),
    ['app', 'sid'],
  )
  t.is(headers.get('www-authenticate'), 'Basic')
  t.is(headers.get('vary'), 'Accept, Cookie')
  t.is(headers.get('x-lost'), null)
})

test('the commit of an answer that fails takes its place', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        session.data.thing = new Date(0)
        throw thrown({ status: 403 })
      },
    },
  )
  const answer = await app.browser().get('/')

  t.is(answer.status, 500)
  t.like(app.errors[0], { code: 'ERR_SESSION_VALUE' })
  t.deepEqual(answer.setCookie, [])
})

test('an error that a handler catches, and a status of 500 that it sets, are a normal return', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }, ctx) => {
        try {
          throw thrown({})
        } catch {
          data.n = 1
        }
        ctx.status = 500
        ctx.body = 'sorry'
      },
      '/look': look,
    },
  )
  const browser = app.browser()

  t.is((await browser.get('/')).status, 500)
  t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
})

test('an error of a request that nobody looked at varies nothing', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': () => {
        throw thrown({ status: 404 })
      },
    },
  )

  t.is((await app.browser().get('/')).headers.get('vary'), null)
})

const values: readonly [what: string, value: unknown, path: string][] = [
  ['a Date', new Date(0), 'session.data.thing '],
  ['a Map deep inside', { list: [{ map: new Map() }] }, 'session.data.thing.list[0].map '],
  ['NaN', [1, NaN], 'session.data.thing[1] '],
  ['a BigInt', 1n, 'session.data.thing '],
  ['a function', { toJSON: () => 1 }, 'session.data.thing.toJSON '],
]

for (const [what, value, path] of values) {
  test(`${what} in data is ERR_SESSION_VALUE at commit, naming its path, and the stored session stays`, async (t) => {
    const app = await mounted(
      t,
      {},
      {
        '/set': ({ data }) => (data.n = 1),
        '/': ({ data }) => ((data.n = 2), (data.thing = value), 'done'),
        '/look': look,
      },
    )
    const browser = app.browser()
    await browser.get('/set')
    const answer = await browser.get('/')

    t.is(answer.status, 500)
    t.is(answer.body, 'Internal Server Error')
    t.like(app.errors[0], { code: 'ERR_SESSION_VALUE', expose: false })
    t.true((app.errors[0] as Error).message.startsWith(path), (app.errors[0] as Error).message)
    t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
  })
}

test('a session over maxBytes is ERR_SESSION_TOO_LARGE, and the stored one stays', async (t) => {
  const app = await mounted(
    t,
    { maxBytes: 20 },
    { '/': ({ data }, { query }) => (data.name = String(query['name'])), '/look': look },
  )
  const browser = app.browser()
  t.is((await browser.get('/?name=123456789')).status, 200)
  t.is((await browser.get('/?name=1234567890')).status, 500)

  t.like(app.errors[0], {
    code: 'ERR_SESSION_TOO_LARGE',
    message: 'the session would take 21 bytes, options.maxBytes allows 20: store less, or a reference to it',
  })
  t.is((await browser.get('/look')).body, '["resumed",{"name":"123456789"}]')
})

test('nesting 10,000 deep is refused, not a crash', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }) => {
        let value: unknown = 1
        for (let level = 0; level < 10_000; level++) value = [value]
        data.thing = value
      },
    },
  )

  t.is((await app.browser().get('/')).status, 500)
  t.like(app.errors[0], { code: 'ERR_SESSION_VALUE' })
})

test.serial('generateId that comes to give no id is an error of the request, without the id', async (t) => {
  for (const id of ['short', 'i'.repeat(129), `${'i'.repeat(30)}.`, 'é'.repeat(30), undefined, 5, '']) {
    // It is tried once when session() is called.
    let calls = 0
    const generateId = (): string => (calls++ === 0 ? 'i'.repeat(22) : (id as string))
    const app = await mounted(t, { generateId }, { '/': ({ data }) => (data.n = 1) })

    t.is((await app.browser().get('/')).status, 500)
    t.like(app.errors[0], { code: 'ERR_INVALID_ARG_VALUE' })
    t.regex(
      (app.errors[0] as Error).message,
      /^the result of options\.generateId must be 22 to 128 characters of the base64url alphabet, got (a string of \d+ characters|an empty string|undefined|5)$/,
    )
  }
})

test.serial('ids of its own go into cookie and record', async (t) => {
  let turn = 0
  const heard = hear(t, 'create')
  const app = await mounted(
    t,
    { generateId: () => `${'i'.repeat(22)}${turn++}` },
    { '/': ({ data }) => (data.n = 1), '/look': look },
  )
  const browser = app.browser()
  const { setCookie } = await browser.get('/')

  t.regex(valueIn(setCookie[0]), /^i{22}\d\./)
  t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
  t.is(heard.length, 1)
})
