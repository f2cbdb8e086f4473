// Codecs and encryption, over HTTP and at rest.
import { inspect } from 'node:util'
import test from 'ava'
import * as devalue from 'devalue'
import superjson from 'superjson'
import { MemoryStore, type SessionRecord } from '../../src/index.ts'
import { Barrier } from '../support/faults.ts'
import { hear, keyIn, mounted, type Handler } from '../support/mounted.ts'
import { PlainStore } from '../support/plain-store.ts'
import { SpiedStore } from '../support/spied-store.ts'

const SECRET = 'hunter2 hunter2'
const NEW = 'the newest encryption secret'
const OLD = 'an older encryption secret'

const handlers: Readonly<Record<string, Handler>> = {
  '/set': ({ data }) => ((data.name = SECRET), 'done'),
  '/n': ({ data }) => (data.n = (data.n ?? 0) + 1),
  '/flash': (session) => session.flash('info', SECRET),
  '/look': ({ data, origin }) => [origin, data],
}

const rich = () => ({ when: new Date(5), map: new Map([['a', { b: 1 }]]), set: new Set([1]), big: 12n })

for (const [name, codec] of [
  ['devalue', devalue],
  ['superjson', superjson],
] as const) {
  for (const Store of [MemoryStore, PlainStore]) {
    test(`${name} brings Date, Map, Set and BigInt back from a ${Store.name}`, async (t) => {
      const app = await mounted(
        t,
        { codec, store: new Store() },
        {
          '/set': ({ data }) => void (data.thing = rich()),
          '/look': ({ data }) => t.deepEqual(data.thing, rich()),
          '/change': ({ data }) => void (data.thing as ReturnType<typeof rich>).map.set('a', { b: 2 }),
          '/changed': ({ data }) => (data.thing as ReturnType<typeof rich>).map.get('a'),
        },
      )
      const browser = app.browser()
      await browser.get('/set')
      app.store.counted()
      await browser.get('/look')
      t.deepEqual(app.store.counted(), { read: 1 }, 'reading is no change')
      await browser.get('/change')

      t.is((await browser.get('/changed')).body, '{"b":2}')
    })
  }
}

test('a codec is asked with itself for this', async (t) => {
  const codec = {
    mark: '!',
    stringify(value: unknown): string {
      return this.mark + JSON.stringify(value)
    },
    parse(text: string): unknown {
      return JSON.parse(text.slice(this.mark.length))
    },
  }
  const browser = (await mounted(t, { codec, store: new PlainStore() }, handlers)).browser()
  await browser.get('/n')

  t.is((await browser.get('/n')).body, '2')
})

test('with encryptionKeys the store sees neither data nor flash messages, and they come back', async (t) => {
  const store = new SpiedStore()
  const app = await mounted(t, { store, encryptionKeys: [NEW] }, handlers)
  const browser = app.browser()
  for (const path of ['/set', '/flash']) await browser.get(path)

  t.is(store.given.length, 2)
  for (const { payload } of store.given) {
    t.true(payload instanceof Uint8Array)
    t.false(Buffer.from(payload as Uint8Array).includes('hunter2'))
  }
  t.false(inspect(store.given, { maxArrayLength: null }).includes('hunter2'))
  t.is((await browser.get('/look')).body, `["resumed",{"name":"${SECRET}"}]`)
})

test('without encryptionKeys it sees JSON', async (t) => {
  const store = new SpiedStore()
  await (await mounted(t, { store }, handlers)).browser().get('/set')

  t.is(store.given[0]?.payload, `{"name":"${SECRET}"}`)
})

test('after a rotation older payloads are read, and encrypted anew with their next write', async (t) => {
  const store = new SpiedStore()
  const before = (await mounted(t, { store, encryptionKeys: [OLD] }, handlers)).browser()
  await before.get('/n')
  const cookie = await before.cookie()
  const between = await mounted(t, { store, encryptionKeys: [NEW, OLD] }, handlers)
  t.is((await between.browser().send('/look', cookie)).body, '["resumed",{"n":1}]')
  t.is(store.given.length, 1, 'reading writes nothing')
  await between.browser().send('/n', cookie)
  const after = await mounted(t, { store, encryptionKeys: [NEW] }, handlers)

  t.is((await after.browser().send('/look', cookie)).body, '["resumed",{"n":2}]')
})

test('a due touch encrypts anew also what is over a maxBytes that was lowered, and a passive change keeps its instant', async (t) => {
  const store = new MemoryStore()
  let clock = Date.now()
  const now = () => clock
  const before = (
    await mounted(
      t,
      { store, now, encryptionKeys: [OLD] },
      { '/set': ({ data }) => void (data.name = 'x'.repeat(2000)) },
    )
  ).browser()
  await before.get('/set')
  const cookie = await before.cookie()
  const key = keyIn(cookie)
  const poller = new Barrier()
  const app = await mounted(
    t,
    { store, now, encryptionKeys: [NEW, OLD], maxBytes: 1000, passive: (ctx) => ctx.path === '/poll' },
    {
      '/look': () => undefined,
      '/poll': async ({ data }) => {
        await poller.pass()
        data.name = 'short'
      },
    },
  )
  clock += 3_600_000

  const poll = app.browser().send('/poll', cookie)
  await poller.arrived
  t.is((await app.browser().send('/look', cookie)).status, 200)
  t.like(store.read(key, clock), { version: 2, lastSeenAt: clock })
  const later = await mounted(t, { store, now, encryptionKeys: [NEW] }, { '/look': ({ data }) => data.name?.length })
  t.is((await later.browser().send('/look', cookie)).body, '2000', 'the old key is not needed any more')
  poller.open()
  t.is((await poll).status, 200)

  t.like(store.read(key, clock), { version: 3, lastSeenAt: clock })
})

test('what nobody can read ends at its limits, and hides no live session behind it', async (t) => {
  const store = new MemoryStore()
  let clock = Date.now()
  const now = () => clock
  const before = await mounted(t, { store, now, encryptionKeys: [OLD] }, handlers)
  const [locked, first] = [before.browser(), before.browser()]
  await locked.get('/n')
  await first.get('/n')
  const cookie = await locked.cookie()
  const record = store.read(keyIn(cookie), clock)
  if (record === undefined) return t.fail('not stored')
  // As somebody who writes to the store would have it: for ever.
  store.replace({ ...record, version: 2, expiresAt: 8e15 }, 1, clock)
  const after = await mounted(t, { store, now, encryptionKeys: [NEW] }, handlers)
  const good = after.browser()
  await good.get('/n')

  t.is((await after.browser().send('/look', `${cookie}; ${await good.cookie()}`)).body, '["resumed",{"n":1}]')
  t.is((await after.browser().send('/look', `${cookie}; ${await first.cookie()}`)).status, 503)
  t.is((await after.browser().send('/look', `${cookie}; sid=${'x'.repeat(32)}.${'y'.repeat(43)}`)).status, 503)
  t.is((await after.browser().send('/look', cookie)).status, 503)
  clock += 24 * 3_600_000
  t.is((await after.browser().send('/look', cookie)).body, '["expired",{}]')
})

test('a payload under a key that is not configured is an outage: 503, the cookie left alone', async (t) => {
  const store = new MemoryStore()
  const before = (await mounted(t, { store, encryptionKeys: [OLD] }, handlers)).browser()
  await before.get('/n')
  const after = await mounted(t, { store, encryptionKeys: [NEW] }, handlers)
  const answer = await after.browser().send('/look', await before.cookie())

  t.is(answer.status, 503)
  t.deepEqual(answer.setCookie, [])
  t.like(after.errors[0], { code: 'ERR_SESSION_STORE' })
  t.is((await before.get('/look')).body, '["resumed",{"n":1}]')
})

const moves: Record<string, (mine: SessionRecord, theirs: SessionRecord) => SessionRecord> = {
  'the payload of another session': (mine, theirs) => ({ ...mine, payload: theirs.payload }),
  'another owner': (mine) => ({ ...mine, owner: 'eve' }),
  'other notes': (mine) => ({ ...mine, meta: '{"m":9999999}' }),
  'plain text': (mine) => ({ ...mine, payload: '{"name":"eve"}' }),
  'one bit changed': (mine) => ({
    ...mine,
    payload: Uint8Array.from(mine.payload as Uint8Array, (byte, at) => (at === 40 ? byte ^ 1 : byte)),
  }),
}

for (const [what, move] of Object.entries(moves)) {
  test.serial(`an encrypted record with ${what} starts a fresh session, with an event`, async (t) => {
    const heard = hear(t, 'reject')
    const app = await mounted(
      t,
      { encryptionKeys: [NEW] },
      { ...handlers, '/in': (session) => ((session.data.name = SECRET), session.signIn('ada')) },
    )
    const [browser, other] = [app.browser(), app.browser()]
    await browser.get('/in')
    await other.get('/in')
    const key = keyIn(await browser.cookie())
    const [mine, theirs] = [
      await app.store.read(key, Date.now()),
      await app.store.read(keyIn(await other.cookie()), Date.now()),
    ]
    if (mine === undefined || theirs === undefined) return t.fail('not stored')
    const moved = { ...move(mine, theirs), version: mine.version + 1 }
    await app.store.replace(moved, mine.version, Date.now())
    const answer = await browser.get('/look')

    t.is(answer.body, '["expired",{}]')
    t.deepEqual(answer.setCookie, [])
    t.deepEqual(heard, [['reject', { publicId: key, owner: moved.owner, reason: 'corrupt' }]])
  })
}
