// Keys and values that a client chose, through every door by which an app may put them into a session: they are data
// like others, or they are refused; no prototype is reached, and the next request works.
import { inspect } from 'node:util'
import test from 'ava'
import type { Context } from 'koa'
import * as devalue from 'devalue'
import superjson from 'superjson'
import type { SessionManager, SessionOptions } from '../../../src/index.ts'
import { cookieOf, quick, type Bag } from '../../support/quick.ts'

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'toJSON',
  'then',
  'length',
  'save',
  'regenerate',
  'maxAge',
  'isNew',
  '',
]

/** Own property of any name, as JSON.parse makes it. */
const bag = (key: string, value: unknown): Bag => JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(value)}}`) as Bag

type Door = (session: SessionManager<Bag>, key: string, ctx: Context) => unknown

interface KoaSession {
  session: Record<string, unknown>
}

const PAYLOAD = { polluted: true }

const doors: Readonly<Record<string, Door>> = {
  'an assignment': ({ data }, key) => (data[key] = PAYLOAD),
  'Object.assign': ({ data }, key) => {
    for (const [name, value] of Object.entries(bag(key, PAYLOAD))) data[name] = value
  },
  'all data at once': (session, key) => (session.data = bag(key, PAYLOAD)),
  'a nested object': ({ data }, key) => (data['nested'] = bag(key, PAYLOAD)),
  'an array': ({ data }, key) => (data['nested'] = [bag(key, PAYLOAD)]),
  'update()': (session, key) => session.update((data) => (data[key] = PAYLOAD)),
  'a nested object in update()': (session, key) => session.update((data) => (data['nested'] = bag(key, PAYLOAD))),
  'the key of a flash message': (session, key) => session.flash(key, PAYLOAD),
  'a flash message': (session, key) => session.flash('info', bag(key, PAYLOAD)),
  'a merge with another request': async (session, key) => {
    session.data['mine'] = 1
    await session.save()
    session.data[key] = PAYLOAD
    await session.update((data) => (data['more'] = bag(key, PAYLOAD)))
  },
  'the keys that regenerate keeps': async (session, key) => {
    session.data[key] = PAYLOAD
    await session.regenerate({ keep: [key] })
  },
  'a deletion': ({ data }, key) => {
    data[key] = PAYLOAD
    Reflect.deleteProperty(data, key)
    data['kept'] = 1
  },
}

const koaDoors: Readonly<Record<string, Door>> = {
  'a property of ctx.session': (_session, key, ctx) => {
    // These names are koa-session's own.
    if (!['save', 'regenerate', 'maxAge', 'isNew', 'toJSON', 'length'].includes(key))
      (ctx as unknown as KoaSession).session[key] = PAYLOAD
  },
  'an object in the place of ctx.session': (_session, key, ctx) =>
    ((ctx as unknown as KoaSession).session = bag(key, PAYLOAD)),
}

const codecs: Readonly<Record<string, SessionOptions<Bag>>> = {
  JSON: {},
  devalue: { codec: devalue },
  superjson: { codec: superjson },
  'JSON, encrypted': { encryptionKeys: ['an encryption secret of some length'] },
}

const cases = [
  ...Object.entries(codecs).flatMap(([codec, options]) =>
    Object.entries(doors).map(([what, door]) => ({ title: `${what} (${codec})`, options, door })),
  ),
  ...Object.entries(koaDoors).map(([what, door]) => ({ title: what, options: { koaSession: true }, door })),
]

for (const { title, options, door } of cases) {
  test(`no key reaches a prototype by ${title}, and the session goes on`, async (t) => {
    for (const key of KEYS) {
      const app = quick(options)
      const first = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1)))
      const put = await app.ask(first, async (session, ctx) => {
        await door(session, key, ctx)
      })
      const cookie = cookieOf(put) || first

      const { status, result } = await app.ask(cookie, (session) => {
        const nested = session.data['nested']
        const parts = [
          session.data,
          nested,
          ...(Array.isArray(nested) ? (nested as unknown[]) : []),
          ...session.flash('info'),
          ...session.flash(key),
        ]
        return parts.map((part) =>
          typeof part === 'object' && part !== null
            ? ('polluted' in part && !Object.hasOwn(part, 'polluted')) ||
              Object.getPrototypeOf(part) !== (Array.isArray(part) ? Array.prototype : Object.prototype)
            : false,
        )
      })
      const later = await app.ask(cookie, ({ data }) => (data['n'] = 2))

      t.true(
        put.status === 200 || (app.errors[0] as { code?: unknown } | undefined)?.code === 'ERR_SESSION_VALUE',
        `${key}: ${String(app.errors[0])}`,
      )
      t.deepEqual([status, later.status], [200, 200], key)
      t.deepEqual(result?.filter(Boolean), [], key)
      t.false('polluted' in {}, key)
    }
  })
}

test('a value that would choke each later request is refused by the one that brings it', async (t) => {
  const deep = (levels: number): unknown => {
    let value: unknown = 1
    for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value }
    return value
  }
  const cycle: Bag = {}
  cycle['self'] = cycle
  const values: Readonly<Record<string, unknown>> = {
    '10,000 deep': deep(10_000),
    '100,000 deep': deep(100_000),
    'a cycle': cycle,
    'a BigInt': 1n,
    'a Date': new Date(0),
    'a Map': new Map(),
    'not a number': NaN,
    infinite: Infinity,
    'a function': () => 1,
    'a symbol': Symbol('s'),
    'an instance': new URL('http://localhost'),
    'a toJSON': { toJSON: () => 1 },
    'a getter that throws': {
      get a() {
        throw new Error('no')
      },
    },
  }
  for (const [what, value] of Object.entries(values)) {
    const app = quick()
    const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1)))

    t.is((await app.ask(cookie, ({ data }) => (data['thing'] = value))).status, 500, what)
    t.deepEqual((await app.ask(cookie, ({ data }) => ({ ...data }))).result, { n: 1 }, what)
    t.is((await app.ask(cookie, ({ data }) => (data['n'] = 2))).status, 200, what)
  }
})

for (const [name, codec] of Object.entries({ devalue, superjson })) {
  test(`what ${name} refuses is told without the data around it`, async (t) => {
    for (const value of [bag('__proto__', 'hunter2'), { secret: 'hunter2', bad: () => 'hunter2' }]) {
      const app = quick({ codec })
      await app.ask(undefined, (session) => (session.data = { password: 'hunter2', ...value, list: [value] }))
      await app.ask(undefined, ({ data }) =>
        Object.entries(bag('__proto__', { password: 'hunter2' })).forEach(([key, all]) => (data[key] = all)),
      )

      t.deepEqual(
        app.errors.map((error) => (error as { code?: unknown }).code),
        ['ERR_SESSION_VALUE', 'ERR_SESSION_VALUE'],
      )
      t.false(inspect(app.errors, { depth: Infinity, showHidden: true }).includes('hunter2'))
    }
  })
}
