import test from 'ava'
import { publicIdOf } from '../../src/cookie/id.ts'
import { keyIn, mounted, valueIn, type Handler, type Session } from '../support/mounted.ts'

const NOW = 1_800_000_000_000
const HOUR = 3_600_000

/** Runs one handler in a new session and, with the same browser, another one. */
async function two(
  t: Parameters<typeof mounted>[0],
  first: Handler,
  second: Handler,
  options: Parameters<typeof mounted>[1] = {},
): Promise<string> {
  const app = await mounted(t, options, { '/first': first, '/second': second })
  const browser = app.browser()
  const begun = await browser.get('/first')
  t.is(begun.status, 200, String(app.errors[0]))
  const answer = await browser.get('/second')
  t.is(answer.status, 200, String(app.errors[0]))
  return answer.body
}

test('id is what the cookie carries, and publicId its hash, which is no cookie', async (t) => {
  const app = await mounted(
    t,
    {},
    { '/': (session) => [session.id, session.publicId], '/origin': ({ origin }) => origin },
  )
  const { body, setCookie } = await app.browser().get('/')
  const [id, publicId] = JSON.parse(body) as [string, string]

  t.is(valueIn(setCookie[0]).split('.')[0], id)
  t.is(publicId, publicIdOf(id))
  t.is((await app.browser().send('/origin', `sid=${publicId}.${'s'.repeat(43)}`)).body, 'invalid')
})

test('publicId of a new session is the one that it will have', async (t) => {
  const app = await mounted(t, {}, { '/': ({ publicId, data }) => ((data.n = 1), publicId) })
  const { body, setCookie } = await app.browser().get('/')

  t.is(body, keyIn(setCookie[0]))
})

test('isNew and origin tell where a session comes from, until the end of the request', async (t) => {
  const tell = async (session: Session): Promise<unknown> => {
    const before = [session.isNew, session.origin]
    session.data.n = 1
    await session.save()
    return [...before, session.isNew, session.origin]
  }
  const app = await mounted(t, {}, { '/': tell })
  const browser = app.browser()

  t.is((await browser.get('/')).body, '[true,"new",true,"new"]')
  t.is((await browser.get('/')).body, '[false,"resumed",false,"resumed"]')
  t.is((await browser.send('/', 'sid=forged')).body, '[true,"invalid",true,"invalid"]')
})

test('a new session has the instants of now, no owner, and the end that it would get', async (t) => {
  const app = await mounted(
    t,
    { now: () => NOW },
    {
      '/': ({ createdAt, lastSeenAt, expiresAt, owner, authenticatedAt, maxAge }) => ({
        createdAt,
        lastSeenAt,
        expiresAt,
        owner,
        authenticatedAt,
        maxAge,
      }),
    },
  )

  t.deepEqual(JSON.parse((await app.browser().get('/')).body), {
    createdAt: NOW,
    lastSeenAt: NOW,
    expiresAt: NOW + 2 * HOUR,
    maxAge: 0,
  })
})

test('a stored session has the instants of its record', async (t) => {
  let now = NOW
  const tell: Handler = ({ createdAt, lastSeenAt, expiresAt, data }) => (
    (data.n ??= 1),
    [createdAt - NOW, lastSeenAt - NOW, expiresAt - NOW]
  )
  const app = await mounted(t, { now: () => now }, { '/': tell })
  const browser = app.browser()
  await browser.get('/')
  now += HOUR
  t.is((await browser.get('/')).body, JSON.stringify([0, 0, 2 * HOUR]))
  t.is((await browser.get('/')).body, JSON.stringify([0, HOUR, 3 * HOUR]), 'the use an hour later moved it')
})

test('maxAge of a session makes its cookie and both of its ends that long from now, and 0 goes back', async (t) => {
  let now = NOW
  const app = await mounted(
    t,
    { now: () => now },
    {
      '/remember': (session) => {
        session.maxAge = '30d'
        return [session.maxAge, session.expiresAt - now]
      },
      '/forget': (session) => {
        session.maxAge = 0
        return [session.maxAge, session.expiresAt - now]
      },
      '/look': (session) => [session.maxAge, session.expiresAt - now],
    },
  )
  const browser = app.browser()
  const remembered = await browser.get('/remember')
  t.is(remembered.body, JSON.stringify([720 * HOUR, 720 * HOUR]))
  t.regex(remembered.setCookie[0] ?? '', /; Max-Age=2592000;/)
  now += HOUR
  t.is((await browser.get('/look')).body, JSON.stringify([720 * HOUR, 719 * HOUR]))
  const forgotten = await browser.get('/forget')
  t.is(forgotten.body, JSON.stringify([0, 2 * HOUR]))
  t.notRegex(forgotten.setCookie[0] ?? '', /Max-Age|Expires/)
  t.is((await browser.get('/look')).body, JSON.stringify([0, 2 * HOUR]))
})

test('a maxAge that is none is refused at once', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        t.throws(() => (session.maxAge = -1), { code: 'ERR_INVALID_ARG_VALUE', message: /^session\.maxAge must be / })
        t.throws(() => (session.maxAge = '401d'), {
          code: 'ERR_INVALID_ARG_VALUE',
          message: /^session\.maxAge must be 0 or from one second to 400 days/,
        })
        t.throws(() => (session.maxAge = null as unknown as number), { code: 'ERR_INVALID_ARG_TYPE' })
        return session.maxAge
      },
    },
  )

  t.is((await app.browser().get('/')).body, '0')
})

test('assigning data replaces all of it, and something else than an object is refused', async (t) => {
  const body = await two(
    t,
    (session) => {
      session.data = { n: 1, name: 'ada' }
      session.data = { n: 2, list: [1] }
      for (const value of [null, undefined, 5, 'text', [1]]) {
        t.throws(() => (session.data = value as unknown as object), {
          code: 'ERR_INVALID_ARG_TYPE',
          message: /^session\.data must be a plain object, got /,
        })
      }
    },
    ({ data }) => data,
  )

  t.is(body, '{"n":2,"list":[1]}')
})

test('assigning an instance of a class to data is refused, and empties nothing', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/set': ({ data }) => (data.n = 1),
      '/map': (session) => (session.data = new Map([['n', 2]]) as object),
      '/look': ({ data }) => data,
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  await browser.get('/map')

  t.is((await browser.get('/look')).body, '{"n":1}')
})

test('clear() empties data and keeps the id', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/set': ({ data, publicId }) => ((data.n = 1), publicId),
      '/clear': (session) => (session.clear(), session.publicId),
      '/look': ({ data }) => data,
    },
  )
  const browser = app.browser()
  const { body } = await browser.get('/set')

  t.is((await browser.get('/clear')).body, body)
  t.is((await browser.get('/look')).body, '{}')
})

test('save() stores at once, and does nothing the second time', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        session.data.n = 1
        await session.save()
        const first = app.store.counted()
        await session.save()
        return [first, app.store.counted()]
      },
    },
  )

  t.is((await app.browser().get('/')).body, '[{"create":1},{}]')
})

test('save() is awaited by the commit, whoever forgets to', async (t) => {
  const body = await two(
    t,
    (session) => {
      session.data.n = 1
      void session.save()
      session.data.name = 'ada'
    },
    ({ data }) => data,
  )

  t.is(body, '{"n":1,"name":"ada"}')
})

test('update() stores its change at once and gives its result', async (t) => {
  const body = await two(
    t,
    async (session) => {
      session.data.name = 'ada'
      t.is(await session.update((data) => (data.n = 5)), 5)
      t.is(session.data.n, 5)
      t.is(await session.update(async (data) => Promise.resolve(data.name)), 'ada')
    },
    ({ data }) => data,
  )

  t.is(body, '{"name":"ada","n":5}')
})

test('update() without a function is refused', async (t) => {
  await two(
    t,
    (session) =>
      t.throwsAsync(session.update(5 as unknown as () => 1), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: 'the argument of session.update() must be a function, got a number',
      }),
    () => 'done',
  )
})

test('data of update() that is written after its function returned throws', async (t) => {
  let late: { n?: number } = {}
  await two(
    t,
    async (session) => {
      await session.update((data) => void (late = data))
      t.throws(() => (late.n = 1), {
        code: 'ERR_SESSION_CLOSED',
        message: /^the data of session\.update\(\) was written after its function had returned/,
      })
    },
    () => 'done',
  )
})

test('reload() takes what is stored and drops what is pending', async (t) => {
  const body = await two(
    t,
    ({ data }) => (data.n = 1),
    async (session) => {
      session.data.n = 2
      session.data.name = 'ada'
      session.flash('info', 'hello')
      session.maxAge = '1d'
      await session.reload()
      return [session.data, session.flash('info'), session.maxAge]
    },
  )

  t.is(body, '[{"n":1},[],0]')
})

test('reload() of a session that is not stored empties it', async (t) => {
  const app = await mounted(
    t,
    {},
    { '/': async (session) => ((session.data.n = 1), await session.reload(), session.data) },
  )

  t.is((await app.browser().get('/')).body, '{}')
})

for (const [verb, begin] of Object.entries<(session: Session, options?: object) => Promise<void>>({
  regenerate: (session, options) => session.regenerate(options),
  signIn: (session, options) => session.signIn('ada', options),
})) {
  test(`${verb}() gives a new id and public id, stored at once, and the old one is dead`, async (t) => {
    const app = await mounted(
      t,
      {},
      {
        '/set': ({ data }) => (data.n = 1),
        '/new': async (session) => (await begin(session), session.publicId),
        '/look': ({ data, origin }) => [origin, data],
      },
    )
    const browser = app.browser()
    await browser.get('/set')
    const old = await browser.cookie()
    const answer = await browser.get('/new')

    t.is(answer.body, keyIn(answer.setCookie[0]))
    t.not(answer.body, keyIn(old))
    t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
    t.is((await browser.send('/look', old)).body, '["expired",{}]')
  })

  test(`${verb}() keeps all, a list of keys, or nothing`, async (t) => {
    for (const [keep, kept] of [
      [undefined, { n: 1, name: 'ada', list: [1] }],
      [true, { n: 1, name: 'ada', list: [1] }],
      [['name', 'list', 'thing'], { name: 'ada', list: [1] }],
      [[], {}],
      [false, {}],
    ] as const) {
      const body = await two(
        t,
        ({ data }) => Object.assign(data, { n: 1, name: 'ada', list: [1] }),
        async (session) => (await begin(session, keep === undefined ? {} : { keep }), session.data),
      )
      t.is(body, JSON.stringify(kept))
    }
  })

  test(`${verb}() refuses a keep that is none, options that are no object, and names that it does not know`, async (t) => {
    await two(
      t,
      async (session) => {
        for (const keep of ['name', 5, null, [1]])
          await t.throwsAsync(begin(session, { keep }), {
            code: 'ERR_INVALID_ARG_TYPE',
            message: new RegExp(`^keep of session\\.${verb}\\(\\) must be true, false or a list of keys, got `),
          })
        for (const options of [null, 'keep', ['name']])
          await t.throwsAsync(begin(session, options as unknown as object), {
            code: 'ERR_INVALID_ARG_TYPE',
            message: new RegExp(`^the options of session\\.${verb}\\(\\) must be a plain object, got `),
          })
        await t.throwsAsync(begin(session, { keeps: ['name'] }), {
          code: 'ERR_INVALID_ARG_VALUE',
          message: `keeps is no option of session.${verb}(): it takes keep`,
        })
      },
      () => 'done',
    )
  })
}

test('regenerate() keeps owner, authenticatedAt, createdAt and maxAge, unless it keeps nothing', async (t) => {
  let now = NOW
  const tell = ({ owner, authenticatedAt, createdAt, maxAge }: Session): unknown => [
    owner,
    authenticatedAt,
    createdAt,
    maxAge,
  ]
  for (const [keep, kept] of [
    [true, ['ada', NOW, NOW, HOUR]],
    [['n'], ['ada', NOW, NOW, HOUR]],
    [false, [undefined, undefined, NOW + 1, 0]],
  ] as const) {
    now = NOW
    const body = await two(
      t,
      (session) => ((session.maxAge = HOUR), session.signIn('ada')),
      async (session) => (now++, await session.regenerate({ keep }), tell(session)),
      { now: () => now },
    )
    t.is(body, JSON.stringify(kept))
  }
})

test('signIn() binds to the owner and tells when', async (t) => {
  const body = await two(
    t,
    (session) => session.signIn('ada'),
    ({ owner, authenticatedAt }) => [owner, authenticatedAt],
    { now: () => NOW },
  )

  t.is(body, JSON.stringify(['ada', NOW]))
})

test('an owner that is none is refused', async (t) => {
  await two(
    t,
    async (session) => {
      for (const owner of ['', 'a'.repeat(256)])
        await t.throwsAsync(session.signIn(owner), {
          code: 'ERR_INVALID_ARG_VALUE',
          message: /^the owner of session\.signIn\(\) must be a string of 1 to 255 characters/,
        })
      await t.throwsAsync(session.signIn(7 as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' })
      t.is(session.owner, undefined)
      await session.signIn('a'.repeat(255))
    },
    () => 'done',
  )
})

test("FastSession's four names do the same", async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/save': async (session) => {
        session.getSession().n = 1
        await session.saveSession()
        return session.getSessionId() === session.id && session.getSession() === session.data
      },
      '/clear': (session) => (session.clearSession(), undefined),
      '/look': (session) => session.getSession(),
    },
  )
  const browser = app.browser()
  t.is((await browser.get('/save')).body, 'true')
  t.is((await browser.get('/look')).body, '{"n":1}')
  await browser.get('/clear')
  t.is((await browser.get('/look')).body, '{}')
})

test('a callback, as passport gives one, is told that it will not be called', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const called = session as unknown as Record<'save' | 'regenerate', (callback: unknown) => Promise<void>>
        for (const name of ['save', 'regenerate'] as const) {
          const error = await new Promise((resolve) => void called[name](resolve))
          t.like(error, { code: 'ERR_INVALID_ARG_TYPE' })
          t.regex(
            (error as Error).message,
            /^the argument of session\.(save|regenerate)\(\) must be (an object \{ keep \} or )?left out, got a function: await its promise/,
          )
        }
      },
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

for (const koaSession of [false, true])
  test(`what the session is cannot be assigned, in sloppy code either, ${koaSession ? 'with' : 'without'} koaSession`, async (t) => {
    // A function made of text is sloppy, as a CommonJS app is without 'use strict'.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval
    const assign = new Function('session', 'name', 'session[name] = 1') as (session: object, name: string) => void
    const app = await mounted(
      t,
      { koaSession },
      {
        '/': (session) => {
          for (const name of ['id', 'publicId', 'owner', 'isNew', 'origin', 'expiresAt', 'authenticatedAt', 'signal'])
            t.throws(() => assign(session, name), {
              code: 'ERR_INVALID_ARG_VALUE',
              message: `session.${name} cannot be set: it says what the session is; signIn(), regenerate() and destroy() change it`,
            })
          t.deepEqual([session.owner, session.origin], [undefined, 'new'])
        },
      },
    )

    t.is((await app.browser().get('/')).status, 200)
  })

test('what is no member cannot be set on a manager, where it would be lost, and the error says where it belongs', async (t) => {
  const app = await mounted(t, {}, { '/': (session) => Object.assign(session, { user: 'ada' }) })

  t.is((await app.browser().get('/')).status, 500)
  t.like(app.errors[0], { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  t.regex(String(app.errors[0]), /session\.user cannot be set: write to session\.data.* koaSession: true/)
})

test('a name that a client chose is quoted, cut and on one line in the errors of a manager', async (t) => {
  const name = `a\r\nFAKE\u202e${'x'.repeat(500)}`
  const quoted = `"a\\r\\nFAKE\\u202e${'x'.repeat(56)}..."`
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const { message } = t.throws(() => Object.assign(session, { [name]: 1 }))
        t.true(message.startsWith(`session.${quoted} cannot be set: `), message)
        await t.throwsAsync(session.regenerate({ [name]: 1 }), {
          message: `${quoted} is no option of session.regenerate(): it takes keep`,
        })
      },
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

test('a manager is an object like others: unknown names are undefined, and it may be awaited', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => [
        session instanceof Object,
        'user' in session,
        typeof (session as unknown as Record<string, unknown>)['user'],
        (await Promise.resolve(session)) === session,
      ],
    },
  )

  t.deepEqual(JSON.parse((await app.browser().get('/')).body), [true, false, 'undefined', true])
})
