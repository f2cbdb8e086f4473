// Everything that an app may print, send on or copy of a session, searched for the id, the signature, the signing
// secrets and the data. What is said of errors, warnings and the log in words is in secrecy.test.ts.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect, format } from 'node:util'
import { serialize } from 'node:v8'
import test, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import type { Context } from 'koa'
import type { EventMessage } from '../../src/index.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/store.ts'
import { KEYS } from '../support/app.ts'
import { found } from '../support/found.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { cookieOf, quick, type Quick } from '../support/quick.ts'
import { redisMakes, startRedis } from '../support/redis.ts'

const { newPool, testWithServer, stop } = await openPostgres()
test.after.always(stop)

const DATA = 'hunter2 hunter2'
const OWNER = 'ada@example.org'

/** All ways in which something becomes text. Some refuse, and then it is the refusal that is looked at. */
const prints: Readonly<Record<string, (value: unknown) => string>> = {
  'util.inspect': (value) => inspect(value, { showHidden: true, depth: Infinity, customInspect: true }),
  'util.inspect without custom inspection': (value) =>
    inspect(value, { showHidden: true, showProxy: true, depth: Infinity, customInspect: false, getters: false }),
  'util.format': (value) => format('%s %j %o %O', value, value, value, value),
  'JSON.stringify': (value) => JSON.stringify([value]),
  structuredClone: (value) => inspect(structuredClone(value), { depth: Infinity }),
  'v8.serialize': (value) => serialize(value).toString('latin1'),
  String: (value) => String(value),
  'a spread': (value) => inspect({ ...(value as object) }, { depth: Infinity, showHidden: true }),
  'own names': (value) =>
    Reflect.ownKeys(value as object)
      .map((key) => String(key))
      .join(),
}

function shown(print: (value: unknown) => string, value: unknown): string {
  try {
    return print(value)
  } catch (error) {
    return inspect(error, { depth: Infinity, showHidden: true })
  }
}

interface Life {
  /** What must not be shown, by name. */
  readonly secrets: Readonly<Record<string, string>>
}

/** A session that was signed in, and is looked at with `look` at every moment of its life. */
async function live(app: Quick, look: (ctx: Context, moment: string) => void): Promise<Life> {
  let id = ''
  const first = await app.ask(undefined, async (session, ctx) => {
    look(ctx, 'new')
    session.data['password'] = DATA
    session.flash('info', DATA)
    look(ctx, 'changed')
    await session.signIn(OWNER)
    await session.regenerate()
    look(ctx, 'signed in')
    id = session.id
  })
  const cookie = cookieOf(first)
  await app.ask(cookie, (session, ctx) => {
    look(ctx, 'resumed')
    session.data['more'] = { password: DATA }
    look(ctx, 'changed again')
  })
  await app.ask(cookie, async (session, ctx) => {
    await session.destroy()
    look(ctx, 'destroyed')
  })
  const [newest = '', older = ''] = KEYS
  return {
    secrets: {
      id,
      signature: cookie.slice(cookie.lastIndexOf('.') + 1),
      data: DATA,
      'newest secret': newest,
      'older secret': older,
    },
  }
}

for (const [name, print] of Object.entries(prints)) {
  test(`${name} of the manager, of ctx.state and of the middleware shows no id, signature, secret or data`, async (t) => {
    const texts: [moment: string, text: string][] = []
    const app = quick({ keys: [...KEYS] })
    const { secrets } = await live(app, ({ state }, moment) => {
      for (const [what, value] of Object.entries({ manager: state.session, state, middleware: app.middleware }))
        texts.push([`${what}, ${moment}`, shown(print, value)])
    })

    t.is(texts.length, 18)
    for (const [moment, text] of texts) t.deepEqual(found(Buffer.from(text), { ...secrets, owner: OWNER }), [], moment)
  })
}

test.serial('no event carries an id, a signature, a secret or data, from the first visit to an outage', async (t) => {
  const events = ['create', 'resume', 'reject', 'commit', 'conflict', 'gone', 'regenerate', 'destroy', 'store-error']
  const heard: [name: string, message: EventMessage][] = []
  for (const name of events) {
    const listen = (message: unknown): void => void heard.push([name, message as EventMessage])
    subscribe(`koa-fastsession:${name}`, listen)
    t.teardown(() => void unsubscribe(`koa-fastsession:${name}`, listen))
  }
  const app = quick()
  const { secrets } = await live(app, () => undefined)
  const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = DATA)))
  // Two that change one key, one that comes too late, a forged cookie, a store that fails.
  await app.ask(cookie, async (session) => {
    session.data['n'] = `${DATA}!`
    await app.ask(cookie, ({ data }) => (data['n'] = `${DATA}?`))
  })
  await app.ask(cookie, async (session) => {
    session.data['n'] = DATA
    await app.ask(cookie, (other) => other.destroy())
  })
  for (const header of [cookie, `${cookie}x`, 'sid=x', `${cookie.slice(0, -3)}AAA`])
    await app.ask(header, ({ data }) => data['n'])
  app.store.break('read')
  await app.ask(cookie, ({ data }) => data['n'])

  t.deepEqual([...new Set(heard.map(([name]) => name))].sort(), [...events].sort())
  const [, id = '', signature = ''] = /^sid=([^.]*)\.(.*)$/.exec(cookie) ?? []
  t.deepEqual(
    found(Buffer.from(inspect(heard, { depth: Infinity, showHidden: true })), {
      ...secrets,
      'second id': id,
      'second signature': signature,
    }),
    [],
  )
})

/** Uses a session over a store that fails, and gives all that the app sees and logs of it. */
async function failing(t: ExecutionContext, store: SessionStore, fail: () => Promise<unknown>): Promise<void> {
  const lines: string[] = []
  const log = (line: string): void => void lines.push(line)
  const app = quick({ store, storeTimeout: 5000, logger: { debug: log, info: log, warn: log, error: log } })
  let id = ''
  const cookie = cookieOf(
    await app.ask(undefined, async (session) => {
      await session.signIn(OWNER)
      id = session.id
    }),
  )
  await fail()
  const replies = [
    await app.ask(cookie, ({ data }) => (data['password'] = DATA)),
    await app.ask(undefined, ({ data }) => (data['password'] = DATA)),
    await app.ask(cookie, (session) => session.destroy()),
  ]

  t.true(
    replies.some(({ status }) => status === 503),
    JSON.stringify(replies.map(({ status }) => status)),
  )
  t.true(app.errors.length > 0)
  const text = `${inspect(app.errors, { depth: Infinity, showHidden: true })}\n${lines.join('\n')}`
  t.regex(text, /ERR_SESSION_STORE/)
  t.deepEqual(
    found(Buffer.from(text), { id, signature: cookie.slice(cookie.lastIndexOf('.') + 1), data: DATA, owner: OWNER }),
    [],
  )
}

for (const make of redisMakes()) {
  const refusals: Readonly<Record<string, readonly string[]>> = {
    'is out of memory': ['CONFIG', 'SET', 'maxmemory', '1'],
    'takes no writes without its replicas': ['CONFIG', 'SET', 'min-replicas-to-write', '3'],
    'refuses a command to its user': ['ACL', 'SETUSER', 'default', '-set', '-eval', '-evalsha'],
  }
  for (const [what, command] of Object.entries(refusals)) {
    test(`${make.name}: the errors of a server that ${what} show no id, signature, owner or data`, async (t) => {
      const { port, running } = await startRedis(make)
      const client = new Redis(port, '127.0.0.1')
      t.teardown(async () => {
        client.disconnect()
        await running.stop()
      })

      await failing(t, new RedisStore(client), () => client.call(...(command as [string])))
    })
  }

  test(`${make.name}: the errors of a connection that is gone show no id, signature, owner or data`, async (t) => {
    const { port, running } = await startRedis(make)
    const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 0, retryStrategy: () => null })
    client.on('error', () => undefined)
    t.teardown(() => {
      client.disconnect()
    })

    await failing(t, new RedisStore(client), () => running.stop())
  })
}

// PostgreSQL puts the whole row into `detail` of an error about a constraint, and parts of it into others.
const refusals: Readonly<Record<string, string>> = {
  'a check on the payload': "ADD CHECK (payload NOT LIKE '%password%')",
  'a check on the version': 'ADD CHECK (version < 2)',
  'a column that is gone': 'DROP COLUMN meta',
  'a column of another type': 'ALTER COLUMN payload TYPE varchar(3)',
  'a column that may not be empty': 'ADD CHECK (meta IS NULL) NOT VALID',
}
for (const [what, alteration] of Object.entries(refusals)) {
  testWithServer(`PostgreSQL: the errors of ${what} show no id, signature, owner or data`, async (t) => {
    const pool = newPool()
    const table = `leak_${process.pid}_${Date.now()}_${what.length}`

    await failing(t, new PostgresStore(pool, { table }), () => pool.query(`ALTER TABLE ${table} ${alteration}`))
  })
}
