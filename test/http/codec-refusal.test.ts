// What a codec refuses about data as a whole (the name of a key), where an `owner` option or a `schema` looks at a copy first.
import { inspect } from 'node:util'
import test from 'ava'
import * as devalue from 'devalue'
import superjson from 'superjson'
import { MemoryStore, type SessionOptions } from '../../src/index.ts'
import { cookieOf, quick, type Bag } from '../support/quick.ts'

/** Own property of any name, as JSON.parse makes it. */
const bag = (key: string, value: unknown): Bag => JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(value)}}`) as Bag

const schema = {
  '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) },
} as unknown as NonNullable<SessionOptions<Bag>['schema']>

const WAYS: Readonly<Record<string, SessionOptions<Bag>>> = {
  'an owner option': { owner: ({ user }) => user as string | undefined },
  'a schema': { schema },
}

for (const [name, codec] of Object.entries({ devalue, superjson })) {
  for (const [way, options] of Object.entries(WAYS)) {
    test(`with ${way}, what ${name} refuses is told by its code, and without the data around it`, async (t) => {
      const app = quick({ codec, ...options })
      const own = bag('__proto__', 'hunter2')

      // The first store of a session, a change of a stored one, and an update.
      await app.ask(undefined, (session) => (session.data = { password: 'hunter2', ...own }))
      const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1)))
      await app.ask(cookie, (session) => (session.data = { password: 'hunter2', ...own }))
      await app.ask(cookie, (session) =>
        session.update((data) =>
          Object.entries({ password: 'hunter2', ...own }).forEach(([key, it]) => (data[key] = it)),
        ),
      )

      t.deepEqual(
        app.errors.map((error) => (error as { code?: unknown }).code),
        ['ERR_SESSION_VALUE', 'ERR_SESSION_VALUE', 'ERR_SESSION_VALUE'],
      )
      t.false(inspect(app.errors, { depth: Infinity, showHidden: true }).includes('hunter2'))
      t.deepEqual((await app.ask(cookie, ({ data }) => ({ ...data }))).result, { n: 1 })
    })
  }
}

test('a session of before the codec, with a key that the codec refuses, neither breaks list() and scan() nor locks its user out', async (t) => {
  const store = new MemoryStore()
  const before = quick({ store })
  const cookie = cookieOf(
    await before.ask(undefined, async (session) => {
      session.data['cart'] = bag('constructor', 1)
      await session.signIn('ada')
    }),
  )
  const after = quick({ store, codec: superjson })
  const checked = quick({ store, codec: superjson, schema })

  // Today: "Detected property constructor ...", for as long as that one session lives.
  await t.notThrowsAsync(after.middleware.list('ada'))
  await t.notThrowsAsync(async () => {
    for await (const one of after.middleware.scan()) t.is(typeof one.publicId, 'string')
  })
  // Today: 500 at each request, before any handler.
  t.is((await checked.ask(cookie, (session) => session.destroy())).status, 200)
})
