// What print-outs, JSON, errors, warnings and logs show of a session: never its id, its signature or its data.
import { inspect, type InspectOptions } from 'node:util'
import test from 'ava'
import type { Context } from 'koa'
import type { SessionLogger } from '../../src/index.ts'
import { mounted, valueIn, type Session } from '../support/mounted.ts'
import { quick } from '../support/quick.ts'

const SECRET = 'hunter2 hunter2'

const looks: Record<string, InspectOptions> = {
  'as console.log does': {},
  'in full depth': { depth: Infinity },
  'with hidden properties': { showHidden: true, depth: Infinity },
  'without custom inspection': { customInspect: false, depth: Infinity },
  'with everything': { customInspect: false, showHidden: true, showProxy: true, getters: false, depth: Infinity },
}

test('the manager prints origin and publicId, and its JSON has no more', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/new': (session) => [inspect(session), JSON.stringify(session)],
      '/set': ({ data }) => (data.name = SECRET),
      '/old': (session) => [inspect(session), JSON.stringify(session), session.publicId],
    },
  )
  const browser = app.browser()

  t.deepEqual(JSON.parse((await browser.get('/new')).body), ["SessionManager { origin: 'new' }", '{"origin":"new"}'])
  await browser.get('/set')
  const [printed, json, publicId] = JSON.parse((await browser.get('/old')).body) as [string, string, string]
  t.is(
    printed,
    `SessionManager { origin: 'resumed', publicId: '${publicId}' }`.replace(
      /^(.{73,})$/,
      "SessionManager {\n  origin: 'resumed',\n  publicId: '" + publicId + "'\n}",
    ),
  )
  t.deepEqual(JSON.parse(json), { origin: 'resumed', publicId })
})

for (const [look, options] of Object.entries(looks)) {
  test(`printed ${look}, the manager and ctx.state show no id, signature, owner or data, at any moment of a session`, async (t) => {
    const printed: string[] = []
    const print = (session: Session, ctx: Context): void =>
      void printed.push(inspect([session, ctx.state, { session }], options))
    const app = await mounted(
      t,
      {},
      {
        '/': async (session, ctx) => {
          print(session, ctx)
          session.data.name = SECRET
          session.flash('info', SECRET)
          print(session, ctx)
          await session.signIn(SECRET)
          print(session, ctx)
          return session.id
        },
        '/again': (session, ctx) => {
          print(session, ctx)
          ctx.body = session.data.list
          print(session, ctx)
        },
        '/out': async (session, ctx) => {
          await session.destroy()
          print(session, ctx)
        },
      },
    )
    const browser = app.browser()
    const { setCookie, body } = await browser.get('/')
    const [, signature = ''] = valueIn(setCookie[0]).split('.')
    for (const path of ['/again', '/out']) await browser.get(path)

    t.is(printed.length, 6)
    for (const text of printed) for (const secret of [SECRET, body, signature]) t.false(text.includes(secret))
  })
}

test('nothing that is on the manager or ctx.state can be enumerated to the id', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': (session, ctx) => {
        session.data.name = SECRET
        return [Reflect.ownKeys(session).length, Object.keys(ctx.state), JSON.stringify(ctx.state)]
      },
    },
  )

  t.is((await app.browser().get('/')).body, JSON.stringify([0, ['session'], '{"session":{"origin":"new"}}']))
})

test('errors show no id, signature or data, whatever went wrong', async (t) => {
  const errors: unknown[] = []
  const app = await mounted(
    t,
    { maxBytes: 100 },
    {
      '/set': ({ data }) => (data.name = SECRET),
      '/value': ({ data }) => void (data.thing = { [SECRET.slice(0, 3)]: new Map([[SECRET, SECRET]]) }),
      '/large': ({ data }) => (data.name = SECRET.repeat(20)),
      '/gone': async (session) => {
        await app.middleware.destroy(session.publicId)
        session.data.name = `${SECRET}!`
      },
      '/id': (session) => (errors.push(session.id), undefined),
    },
  )
  const browser = app.browser()
  const [, signature = ''] = valueIn((await browser.get('/set')).setCookie[0]).split('.')
  for (const path of ['/id', '/value', '/large', '/gone']) await browser.get(path)
  const [id] = errors

  t.is(app.errors.length, 3)
  for (const secret of [SECRET, String(id), signature])
    t.false(inspect(app.errors, { showHidden: true, depth: Infinity }).includes(secret))
})

test('a client is told no more than the status of a session error', async (t) => {
  const app = await mounted(t, {}, { '/': ({ data }) => void (data.thing = new Date(0)) })

  t.is((await app.browser().get('/')).body, 'Internal Server Error')
})

test('a logger hears of a whole life without an id, a signature or data', async (t) => {
  const lines: string[] = []
  const take = (line: string): void => void lines.push(line)
  const logger: SessionLogger = { debug: take, info: take, warn: take, error: take }
  let id = ''
  const app = await mounted(
    t,
    { logger, keys: ['short'] },
    {
      '/in': async (session) => {
        session.data.name = SECRET
        await session.signIn(SECRET)
        id = session.id
      },
      '/look': ({ data }) => data.n,
      '/out': (session) => session.destroy(),
    },
  )
  const browser = app.browser()
  const [, signature = ''] = valueIn(
    (await browser.get('/in', { headers: { 'x-forwarded-proto': 'https' } })).setCookie[0],
  ).split('.')
  const cookie = await browser.cookie()
  for (const path of ['/look', '/out']) await browser.get(path)
  for (const other of [cookie, 'sid=bad', `sid=${'f'.repeat(32)}.${'f'.repeat(43)}`]) await browser.send('/look', other)
  app.store.break('read')
  await browser.send('/look', cookie)

  const told = lines.map((line) => line.replace(/^koa-fastsession: /, '').split(/[ ,]/)[0])
  t.deepEqual(told, [
    'a',
    'create',
    'commit',
    'sign-in',
    'the',
    'resume',
    'resume',
    'destroy',
    'reject',
    'reject',
    'reject',
    'store-error',
  ])
  for (const secret of [SECRET, id, signature]) t.false(lines.join('\n').includes(secret))
})

test('an owner that is a number is refused without being shown', async (t) => {
  const shown: string[] = []
  const app = quick({ owner: ({ user }) => user as string | undefined })
  const told = (error: unknown): void => void shown.push(String(error))
  const owner = 4711 as unknown as string

  await app.ask(undefined, ({ data }) => (data['user'] = 4711))
  shown.push(...app.errors.map(String))
  await app.middleware.list(owner).catch(told)
  await app.middleware.destroyAll(owner).catch(told)
  await quick().ask(undefined, (session) => session.signIn(owner).catch(told))
  // Data assigned as a whole, too.
  await quick().ask(undefined, (session) => {
    try {
      session.data = 4711 as unknown as Record<string, unknown>
    } catch (error) {
      told(error)
    }
  })

  t.is(shown.length, 5)
  for (const text of shown) t.false(text.includes('4711'), text)
})
