import test from 'ava'
import { jsonCodec } from '../../src/record/codec.ts'
import { FlashMessages } from '../../src/session/flash.ts'
import { mounted, type Handler } from '../support/mounted.ts'
import { cookieOf, quick, type Bag } from '../support/quick.ts'

const handlers: Readonly<Record<string, Handler>> = {
  '/put': (session, { query }) => session.flash('info', { text: query['text'] }),
  '/take': (session) => session.flash('info'),
  '/data': ({ data }) => data,
  '/clear': (session) => (session.clear(), undefined),
}

test('a message is there for a later request, once, as an array', async (t) => {
  const browser = (await mounted(t, {}, handlers)).browser()
  await browser.get('/put?text=hello')

  t.is((await browser.get('/take')).body, '[{"text":"hello"}]')
  t.is((await browser.get('/take')).body, '[]')
})

test('messages of one key come in the order in which they were put, over several requests', async (t) => {
  const browser = (await mounted(t, {}, handlers)).browser()
  for (const text of ['one', 'two', 'two']) await browser.get(`/put?text=${text}`)

  t.is((await browser.get('/take')).body, '[{"text":"one"},{"text":"two"},{"text":"two"}]')
})

test('keys are apart, and a message survives a request that does not take it', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      ...handlers,
      '/both': (session) => {
        session.flash('info', 1)
        session.flash('error', 2)
      },
      '/error': (session) => session.flash('error'),
    },
  )
  const browser = app.browser()
  await browser.get('/both')
  await browser.get('/data')

  t.is((await browser.get('/error')).body, '[2]')
  t.is((await browser.get('/take')).body, '[1]')
})

test('messages are kept beside data', async (t) => {
  const browser = (await mounted(t, {}, handlers)).browser()
  await browser.get('/put?text=hello')
  t.is((await browser.get('/data')).body, '{}')
  await browser.get('/clear')

  t.is((await browser.get('/take')).body, '[{"text":"hello"}]', 'clear() keeps them')
})

test('a key may be called as it likes', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/put': (session) => ['__proto__', 'constructor', ''].forEach((key) => session.flash(key, key)),
      '/take': (session) => ['__proto__', 'constructor', '', 'toString'].map((key) => session.flash(key)),
    },
  )
  const browser = app.browser()
  await browser.get('/put')

  t.is((await browser.get('/take')).body, '[["__proto__"],["constructor"],[""],[]]')
})

test('a message taken in the request that put it is not there for a later one', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      ...handlers,
      '/both': (session) => (session.flash('info', 'mine'), session.flash('other', 1), session.flash('info')),
    },
  )
  const browser = app.browser()

  t.is((await browser.get('/both')).body, '["mine"]')
  t.is((await browser.get('/take')).body, '[]')
})

test('taking what is not there writes nothing', async (t) => {
  const app = await mounted(t, {}, { ...handlers, '/set': ({ data }) => (data.n = 1) })
  const browser = app.browser()
  await browser.get('/set')
  app.store.counted()
  await browser.get('/take')

  t.deepEqual(app.store.counted(), { read: 1 })
})

test('a taken message may be written to, and a put one is a copy', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/put': (session) => {
        const message = { list: [1] }
        session.flash('info', message)
        message.list.push(2)
      },
      '/take': (session) => {
        const [message] = session.flash('info') as [{ list: number[] }]
        message.list.push(9)
        return message
      },
    },
  )
  const browser = app.browser()
  await browser.get('/put')

  t.is((await browser.get('/take')).body, '{"list":[1,9]}')
})

test('a message that cannot be stored is refused where it is put', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        for (const value of [new Date(0), undefined, () => 1, { deep: NaN }])
          t.throws(() => session.flash('info', value), { code: 'ERR_SESSION_VALUE' })
        t.throws(() => session.flash(5 as unknown as string), {
          code: 'ERR_INVALID_ARG_TYPE',
          message: 'the key of session.flash() must be a string, got a number',
        })
      },
    },
  )

  t.deepEqual((await app.browser().get('/')).setCookie, [])
})

test('a message that cannot be stored is told as what it is, not as data', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': (session) =>
        void t.throws(() => session.flash('info', { deep: NaN }), { message: /^session\.flash\("info"\)/ }),
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

test('regenerate() keeps messages, and keep false drops them', async (t) => {
  for (const [keep, kept] of [
    [true, '[{"text":"hello"}]'],
    [['n'], '[{"text":"hello"}]'],
    [false, '[]'],
  ] as const) {
    const app = await mounted(t, {}, { ...handlers, '/new': (session) => session.regenerate({ keep }) })
    const browser = app.browser()
    await browser.get('/put?text=hello')
    await browser.get('/new')

    t.is((await browser.get('/take')).body, kept)
  }
})

test('a farewell message goes out with keep false, in the same response', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      ...handlers,
      '/out': async (session) => {
        await session.regenerate({ keep: false })
        session.flash('info', 'bye')
      },
    },
  )
  const browser = app.browser()
  await browser.get('/put?text=hello')
  await browser.get('/out')

  t.is((await browser.get('/take')).body, '["bye"]')
})

test('save() and update() store what was put and taken, once', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      ...handlers,
      '/save': async (session) => {
        session.flash('info', 1)
        await session.save()
        session.flash('info', 2)
      },
      '/update': async (session) => {
        const taken = session.flash('info')
        await session.update((data) => (data.n = 1))
        return [taken, session.flash('info')]
      },
    },
  )
  const browser = app.browser()
  await browser.get('/save')

  t.is((await browser.get('/update')).body, '[[1,2],[]]')
  t.is((await browser.get('/take')).body, '[]')
})

test('what a commit is storing is not what a handler that took it back may change', (t) => {
  const messages = new FlashMessages(jsonCodec(1000))
  messages.put('info', { list: [1] })
  const pending = messages.pending()
  const [taken] = messages.take('info', []) as [{ list: number[] }]
  taken.list.push(2)

  t.deepEqual(pending.put[0]?.[2], { list: [1] })
})

const owned = { owner: ({ user }: Bag) => user as string | undefined, maxPerOwner: 1 }

for (const [when, verb, options] of [
  ['while the store is asked to keep it', 'create', {}],
  ['where it is stored and its commit is not over', 'listKeys', owned],
] as const) {
  for (const asksAgain of [true, false]) {
    test(`a message that is taken ${when} is handed out once, asked for again ${asksAgain ? 'at once' : 'later'}`, async (t) => {
      const app = quick(options)
      const reply = await app.ask(undefined, async (session) => {
        session.data['user'] = 'ada'
        session.flash('info', 'welcome')
        const asked = app.store.pause(verb)
        const saving = session.save()
        await asked.arrived
        const taken = session.flash('info')
        asked.open()
        await saving
        return [taken, asksAgain ? session.flash('info') : []]
      })
      const later = await app.ask(cookieOf(reply), (session) => session.flash('info'))

      t.deepEqual([reply.result, later.result], [[['welcome'], []], []])
    })
  }
}

test('stored messages are handed out as copies, each once', (t) => {
  const stored = [['tag', 'info', { list: [1] }]] as const
  const messages = new FlashMessages(jsonCodec(1000))
  const [taken] = messages.take('info', stored) as [{ list: number[] }]
  taken.list.push(2)

  t.deepEqual(stored[0][2], { list: [1] })
  t.deepEqual(messages.take('info', stored), [])
  t.deepEqual([...messages.pending().taken], ['tag'])
})

test('what is put and taken while a commit is under way is still to come', (t) => {
  const messages = new FlashMessages(jsonCodec(1000))
  t.deepEqual(messages.pending(), { put: [], taken: new Set() })
  messages.put('info', 1)
  const pending = messages.pending()
  messages.put('info', 2)
  messages.forget(pending)

  t.deepEqual(
    messages.pending().put.map(([, , value]) => value),
    [2],
  )
  messages.forget(messages.pending())
  t.deepEqual(messages.pending(), { put: [], taken: new Set() })
  t.false(messages.hasPut)
})

test('each of ten thousand messages is copied once as it is put and once as it is taken, in time', (t) => {
  const json = jsonCodec(1000)
  let copies = 0
  const messages = new FlashMessages({
    ...json,
    copy: (...given) => (copies++, json.copy(...given)),
    lend: (...given) => (copies++, json.lend(...given)),
  })
  const start = process.cpuUsage()
  for (let n = 0; n < 10_000; n++) messages.put(`key${n % 10}`, n)
  const { put } = messages.pending()
  messages.forget(messages.pending())
  for (let n = 0; n < 10; n++) t.is(messages.take(`key${n}`, put).length, 1000)

  t.is(copies, 20_000)
  // Its own time, whatever else the machine does.
  const { user, system } = process.cpuUsage(start)
  t.true(user + system < 2_000_000, `${(user + system) / 1000} ms`)
})
