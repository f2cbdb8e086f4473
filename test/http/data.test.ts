// session.data within a request: one object, what is detached, what is free.
import { setImmediate as turn } from 'node:timers/promises'
import { inspect } from 'node:util'
import test from 'ava'
import { mounted, type Handler, type Session } from '../support/mounted.ts'
import { PlainStore } from '../support/plain-store.ts'

const set: Handler = ({ data }) => void Object.assign(data, { n: 1, nested: { a: 1, b: { c: 1 } }, list: [1, 2] })
const look: Handler = ({ data }) => data

test('data is one object for the life of the manager', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const { data } = session
        data.n = 1
        await session.save()
        await session.regenerate()
        session.data = { n: 2 }
        session.clear()
        await session.reload()
        t.is(session.data, data)
      },
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

test('data is never shared with another request, whatever the store hands out', async (t) => {
  for (const store of [undefined, new PlainStore()]) {
    const held: Session['data'][] = []
    const app = await mounted(t, store === undefined ? {} : { store }, {
      '/set': set,
      '/hold': async ({ data }) => {
        held.push(data)
        if (held.length === 2) {
          const [one, other] = held.map(({ nested }) => nested) as [{ a: number }, { a: number }]
          one.a = 5
          t.is(other.a, 1)
        }
        while (held.length < 2) await turn()
      },
    })
    const browser = app.browser()
    await browser.get('/set')
    await Promise.all([browser.get('/hold'), browser.get('/hold')])
    t.is(held.length, 2)
  }
})

const free: Record<string, Handler> = {
  reading: ({ data }) => JSON.stringify(data),
  'an equal value': ({ data }) => void Object.assign(data, { n: 1, nested: { a: 1, b: { c: 1 } }, list: [1, 2] }),
  'a change taken back': ({ data }) => {
    data.list?.push(3)
    data.list?.pop()
  },
  'replacing all with the same': (session) => {
    session.data = { ...session.data }
  },
  'undefined where nothing was': ({ data }) => {
    data.thing = undefined
  },
  'deleting what was not there': ({ data }) => String(delete data.thing),
  'looking at everything else': (session) => [
    session.publicId,
    session.id,
    session.origin,
    session.owner,
    session.expiresAt,
    session.flash('info'),
    inspect(session),
  ],
}

for (const [what, handler] of Object.entries(free)) {
  test(`${what} writes nothing`, async (t) => {
    const app = await mounted(t, {}, { '/set': set, '/': handler })
    const browser = app.browser()
    await browser.get('/set')
    app.store.counted()
    await browser.get('/')

    t.deepEqual(app.store.counted(), { read: 1 })
  })
}

const changing: Record<string, [Handler, string]> = {
  'a nested change': [
    ({ data }) => void Object.assign(data.nested ?? {}, { a: 2 }),
    '{"n":1,"nested":{"a":2,"b":{"c":1}},"list":[1,2]}',
  ],
  'a change deep inside': [
    ({ data }) => void Object.assign(data.nested?.b ?? {}, { c: 2 }),
    '{"n":1,"nested":{"a":1,"b":{"c":2}},"list":[1,2]}',
  ],
  'a longer list': [({ data }) => void data.list?.push(3), '{"n":1,"nested":{"a":1,"b":{"c":1}},"list":[1,2,3]}'],
  'a sorted list': [({ data }) => void data.list?.reverse(), '{"n":1,"nested":{"a":1,"b":{"c":1}},"list":[2,1]}'],
  'a deleted key': [({ data }) => String(delete data.nested), '{"n":1,"list":[1,2]}'],
  undefined: [({ data }) => void Object.assign(data, { nested: undefined }), '{"n":1,"list":[1,2]}'],
  'a nested undefined': [
    ({ data }) => void Object.assign(data.nested ?? {}, { b: undefined }),
    '{"n":1,"nested":{"a":1},"list":[1,2]}',
  ],
  'two keys for one object': [
    ({ data }) => void (data.other = data.nested),
    '{"n":1,"nested":{"a":1,"b":{"c":1}},"list":[1,2],"other":{"a":1,"b":{"c":1}}}',
  ],
  'all replaced': [(session) => void (session.data = { name: 'ada' }), '{"name":"ada"}'],
}

for (const [what, [handler, stored]] of Object.entries(changing)) {
  test(`${what} is stored, with one call`, async (t) => {
    const app = await mounted(t, { store: new PlainStore() }, { '/set': set, '/': handler, '/look': look })
    const browser = app.browser()
    await browser.get('/set')
    app.store.counted()
    await browser.get('/')

    t.deepEqual(app.store.counted(), { read: 1, replace: 1 })
    t.is((await browser.get('/look')).body, stored)
  })
}

const detaching: Record<string, (session: Session) => Promise<unknown>> = {
  'reload()': (session) => session.reload(),
  'update()': (session) => session.update((data) => (data.n = 2)),
  'regenerate()': (session) => session.regenerate(),
  'signIn()': (session) => session.signIn('ada'),
}

for (const [what, detach] of Object.entries(detaching)) {
  test(`nested objects taken before ${what} are detached: writing to one throws, and data goes on`, async (t) => {
    const app = await mounted(
      t,
      {},
      {
        '/set': set,
        '/': async (session) => {
          const { nested, list } = session.data
          await detach(session)
          t.throws(() => list?.push(3), { instanceOf: TypeError })
          t.throws(() => Object.assign(nested ?? {}, { a: 2 }), { instanceOf: TypeError })
          t.throws(() => Object.assign(nested?.b ?? {}, { c: 2 }), { instanceOf: TypeError })
          session.data.list?.push(9)
        },
        '/look': ({ data }) => data.list,
      },
    )
    const browser = app.browser()
    await browser.get('/set')
    t.is((await browser.get('/')).status, 200)

    t.is((await browser.get('/look')).body, '[1,2,9]')
  })
}

test('nested objects stay attached over save()', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/set': set,
      '/': async (session) => {
        const { list } = session.data
        list?.push(3)
        await session.save()
        list?.push(4)
      },
      '/look': ({ data }) => data.list,
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  await browser.get('/')

  t.is((await browser.get('/look')).body, '[1,2,3,4]')
})

test("the app's own objects are never frozen, and changes in them count until the commit", async (t) => {
  const mine = { a: 1, b: { c: 1 } }
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        session.data.nested = mine
        await session.save()
        mine.a = 2
        await session.regenerate()
        mine.b.c = 3
      },
      '/look': look,
    },
  )
  const browser = app.browser()
  await browser.get('/')
  mine.a = 4

  t.deepEqual(mine, { a: 4, b: { c: 3 } })
  t.is((await browser.get('/look')).body, '{"nested":{"a":2,"b":{"c":3}}}')
})

test('a key that a client chose reaches no prototype', async (t) => {
  const app = await mounted(
    t,
    { store: new PlainStore() },
    {
      '/': (session, { query }) => {
        ;(session.data as Record<string, unknown>)[String(query['key'])] = { polluted: true }
      },
      '/look': ({ data }) => [Object.keys(data), 'polluted' in data],
    },
  )
  for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '']) {
    const browser = app.browser()
    await browser.get(`/?key=${key}`)

    t.is((await browser.get('/look')).body, JSON.stringify([[key], false]))
    t.false('polluted' in {})
  }
})
