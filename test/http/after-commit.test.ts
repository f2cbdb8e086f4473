// What may still be done with a session when its request is over, or when it was destroyed.
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { MemoryStore } from '../../src/index.ts'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { Barrier } from '../support/faults.ts'
import { keyIn, mounted, type Handler, type Mounted, type Session } from '../support/mounted.ts'

/** A session whose request is over: `hold` ran in it, and it is handed out afterwards. */
async function over(
  t: ExecutionContext,
  hold: (session: Session) => unknown = () => undefined,
): Promise<{ app: Mounted; session: Session; browser: ReturnType<Mounted['browser']> }> {
  let held: Session | undefined
  const app = await mounted(
    t,
    {},
    {
      '/set': ({ data }) => Object.assign(data, { n: 1, nested: { a: 1, b: { c: 1 } }, list: [1] }),
      '/hold': (session) => (hold(session), (held = session), undefined),
      '/look': ({ data, origin }) => [origin, data],
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  await browser.get('/hold')
  if (held === undefined) throw new Error('no handler ran')
  return { app, session: held, browser }
}

/** Nested objects are read-only, and say so. */
function assertFrozen(t: ExecutionContext, { nested, list }: Session['data']): void {
  t.throws(() => Object.assign(nested ?? {}, { a: 2 }), { instanceOf: TypeError })
  t.throws(() => Object.assign(nested?.b ?? {}, { c: 2 }), { instanceOf: TypeError })
  t.throws(() => list?.push(2), { instanceOf: TypeError })
}

const CLOSED = { code: 'ERR_SESSION_CLOSED', message: /^session data was written after the commit: / }

const writes: Record<string, (session: Session) => void> = {
  'a key': ({ data }) => (data.n = 2),
  'a deletion': ({ data }) => delete data.n,
  'a defined property': ({ data }) => Object.defineProperty(data, 'n', { value: 2 }),
  'all of data': (session) => (session.data = { n: 2 }),
  'clear()': (session) => session.clear(),
  'clearSession()': (session) => session.clearSession(),
  'flash(key, value)': (session) => session.flash('info', 'late'),
  maxAge: (session) => (session.maxAge = '1d'),
}

for (const [what, write] of Object.entries(writes)) {
  test(`after the commit ${what} throws ERR_SESSION_CLOSED and changes nothing`, async (t) => {
    const { session, browser } = await over(t)

    t.throws(() => write(session), CLOSED)
    t.is(session.data.n, 1)
    t.is((await browser.get('/look')).body, '["resumed",{"n":1,"nested":{"a":1,"b":{"c":1}},"list":[1]}]')
  })
}

test('after the commit nested objects are frozen, those taken before and those taken now', async (t) => {
  let taken: Session['data'] = {}
  const { session } = await over(t, ({ data }) => (taken = { ...data }))

  for (const data of [taken, session.data]) assertFrozen(t, data)
})

test('after the commit nested objects are frozen also where no handler has looked at data', async (t) => {
  const { session, browser } = await over(t)

  assertFrozen(t, session.data)
  t.is((await browser.get('/look')).body, '["resumed",{"n":1,"nested":{"a":1,"b":{"c":1}},"list":[1]}]')
})

test('nested objects are frozen where data is looked at for the first time while the last commit is under way', async (t) => {
  let held: Session | undefined
  const { app, browser } = await over(t, (session) => {
    held = session
    session.flash('note', 1)
  })
  const commit = app.store.pause('replace')
  const answer = browser.get('/hold')
  await commit.arrived
  if (held === undefined) throw new Error('no handler ran')
  assertFrozen(t, held.data)
  commit.open()

  t.is((await answer).status, 200)
  t.is((await browser.get('/look')).body, '["resumed",{"n":1,"nested":{"a":1,"b":{"c":1}},"list":[1]}]')
})

test("after the commit the app's own objects are still its own", async (t) => {
  const mine = { a: 1 }
  const { session } = await over(t, ({ data }) => (data.nested = mine))
  mine.a = 2

  t.deepEqual(session.data.nested, { a: 1 })
})

test('after the commit reading works, save() does nothing and update() works', async (t) => {
  const { app, session, browser } = await over(t)
  app.store.counted()
  t.deepEqual(session.data.list, [1])
  t.is(session.isNew, false)
  await t.notThrowsAsync(session.save())
  t.deepEqual(app.store.counted(), {})
  await session.update((data) => (data.n = 5))

  t.is((await browser.get('/look')).body, '["resumed",{"n":5,"nested":{"a":1,"b":{"c":1}},"list":[1]}]')
})

test('after the commit destroy() ends the record', async (t) => {
  const { session, browser } = await over(t)
  await session.destroy()

  t.is((await browser.get('/look')).body, '["expired",{}]')
})

test('after the commit regenerate() and signIn() cannot send a cookie, and change nothing', async (t) => {
  const { session, browser } = await over(t)
  for (const call of [() => session.regenerate(), () => session.signIn('ada')]) {
    await t.throwsAsync(call(), {
      code: 'ERR_SESSION_HEADERS_SENT',
      message: /^the session got a new id when its cookie could no longer be sent: /,
    })
  }

  t.regex((await browser.get('/look')).body, /^\["resumed",\{"n":1/)
})

test('after the commit a session that was never stored stays so: update() cannot send its cookie', async (t) => {
  let held: Session | undefined
  const app = await mounted(t, {}, { '/': (session) => void (held = session) })
  await app.browser().get('/')

  await t.throwsAsync(async () => held?.update((data) => (data.n = 1)), {
    code: 'ERR_SESSION_HEADERS_SENT',
    message: /^a new session was stored when its cookie could no longer be sent: /,
  })
  t.deepEqual(app.store.counted(), {})
})

test('after the commit the id of a session that was not kept is no id, and the error says how to keep one', async (t) => {
  let held: Session | undefined
  const app = await mounted(t, {}, { '/': (session) => void (held = session) })
  await app.browser().get('/')

  for (const read of [(session?: Session) => session?.id, (session?: Session) => session?.getSessionId()]) {
    t.throws(() => read(held), {
      code: 'ERR_SESSION_CLOSED',
      message: /^session\.id was read after the commit, of a session that was not kept: read it before /,
    })
  }
  t.is(held?.publicId.length, 43)
  t.deepEqual(app.store.counted(), {})
})

test('what is written while the last commit is under way is refused, for it would not be stored', async (t) => {
  let session: Session | undefined
  const app = await mounted(
    t,
    {},
    {
      '/begin': ({ data }) => (data.nested = { a: 1 }),
      '/': (given) => {
        session = given
        given.data.name = String(given.data.nested?.a)
      },
      '/see': ({ data }) => data,
    },
  )
  const browser = app.browser()
  await browser.get('/begin')
  const commit = app.store.pause('replace')
  const answer = browser.get('/')
  await commit.arrived

  t.throws(() => session && (session.data.n = 1), CLOSED)
  t.throws(() => session?.flash('note', 1), CLOSED)
  t.throws(() => session?.data.nested && (session.data.nested.a = 2), { instanceOf: TypeError })
  t.deepEqual({ ...session?.data }, { nested: { a: 1 }, name: '1' })
  commit.open()
  await answer
  t.deepEqual(JSON.parse((await browser.get('/see')).body), { nested: { a: 1 }, name: '1' })
})

test('a handler that forgot to await is told, where it can be heard', async (t) => {
  const errors: unknown[] = []
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }) => {
        void sleep(10)
          .then(() => (data.n = 1))
          .catch((error: unknown) => errors.push(error))
      },
    },
  )
  await app.browser().get('/')
  await sleep(30)

  t.like(errors[0], { code: 'ERR_SESSION_CLOSED' })
})

const DESTROYED = { code: 'ERR_SESSION_DESTROYED', message: /^the session was used after destroy\(\): / }

/** What a use gives, at once or later, as a promise. */
const used = (use: () => unknown): Promise<unknown> => new Promise((resolve) => resolve(use()))

const uses: Record<string, (session: Session) => unknown> = {
  // Its type alone: to resolve with data would read it, which throws as well.
  data: (session) => typeof session.data,
  id: (session) => session.id,
  'data =': (session) => (session.data = {}),
  'maxAge =': (session) => (session.maxAge = 0),
  'clear()': (session) => session.clear(),
  'flash(key)': (session) => session.flash('info'),
  'flash(key, value)': (session) => session.flash('info', 1),
  'save()': (session) => session.save(),
  'reload()': (session) => session.reload(),
  'isFresh()': (session) => session.isFresh('5m'),
  'update()': (session) => session.update(() => 1),
  'regenerate()': (session) => session.regenerate(),
  'signIn()': (session) => session.signIn('ada'),
  'getSession()': (session) => typeof session.getSession(),
  'getSessionId()': (session) => session.getSessionId(),
  'clearSession()': (session) => session.clearSession(),
  'saveSession()': (session) => session.saveSession(),
}

for (const [what, use] of Object.entries(uses)) {
  test(`after destroy() ${what} throws ERR_SESSION_DESTROYED, in that request and later`, async (t) => {
    let held: Session | undefined
    const handler: Handler = async (session) => {
      held = session
      await session.destroy()
      await t.throwsAsync(
        used(() => use(session)),
        DESTROYED,
      )
    }
    const app = await mounted(t, {}, { '/set': ({ data }) => (data.n = 1), '/out': handler })
    const browser = app.browser()
    await browser.get('/set')
    const { status, setCookie } = await browser.get('/out')

    t.is(status, 200)
    t.is(setCookie[0], 'sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax')
    await t.throwsAsync(
      used(() => held === undefined || use(held)),
      DESTROYED,
    )
  })
}

test('after destroy() data that was taken before throws too', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const { data } = session
        data.n = 1
        await session.destroy()
        for (const use of [
          () => data.n,
          () => (data.n = 2),
          () => delete data.n,
          () => 'n' in data,
          () => Object.keys(data),
          () => Object.getOwnPropertyDescriptor(data, 'n'),
          () => JSON.stringify(data),
        ])
          t.throws(use, DESTROYED)
      },
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

test('after destroy() publicId, origin, owner, the instants and destroy() itself still answer', async (t) => {
  const tell = ({
    publicId,
    origin,
    isNew,
    owner,
    createdAt,
    lastSeenAt,
    expiresAt,
    authenticatedAt,
    maxAge,
  }: Session): unknown => [publicId, origin, isNew, owner, createdAt, lastSeenAt, expiresAt, authenticatedAt, maxAge]
  const app = await mounted(
    t,
    {},
    {
      '/in': (session) => session.signIn('ada'),
      '/out': async (session) => {
        const before = tell(session)
        await session.destroy()
        t.deepEqual(tell(session), before)
        await session.destroy()
        t.deepEqual(tell(session), before)
        return session.publicId
      },
    },
  )
  const browser = app.browser()
  await browser.get('/in')
  const key = keyIn(await browser.cookie())

  t.is((await browser.get('/out')).body, key)
})

test('destroy() ends what is stored and clears the cookie; the same cookie is expired from then on', async (t) => {
  const app = await mounted(
    t,
    {},
    { '/set': ({ data }) => (data.n = 1), '/out': (session) => session.destroy(), '/look': ({ origin }) => origin },
  )
  const browser = app.browser()
  await browser.get('/set')
  const cookie = await browser.cookie()
  await browser.get('/out')

  t.is(await browser.cookie(), '')
  t.is((await browser.send('/look', cookie)).body, 'expired')
  t.deepEqual((await browser.send('/out', cookie)).setCookie, [], 'an ended session has nothing to clear')
})

test('a session made and destroyed in one request sends no cookie', async (t) => {
  for (const make of [
    (session: Session) => session.save(),
    (session: Session) => session.signIn('ada'),
    () => Promise.resolve(),
  ]) {
    const app = await mounted(
      t,
      {},
      {
        '/': async (session) => {
          session.data.n = 1
          await make(session)
          await session.destroy()
        },
      },
    )

    t.deepEqual((await app.browser().get('/')).setCookie, [])
    t.deepEqual(await app.middleware.list('ada'), [])
  }
})

test('a session that was regenerated and destroyed in one request ends under both ids', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/set': ({ data }) => (data.n = 1),
      '/out': async (session) => {
        await session.regenerate()
        await session.destroy()
      },
      '/look': ({ origin }) => origin,
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  const cookie = await browser.cookie()
  const { setCookie } = await browser.get('/out')

  t.is(setCookie.length, 1)
  t.regex(setCookie[0] ?? '', /^sid=; Max-Age=0/)
  t.is((await browser.send('/look', cookie)).body, 'expired')
})

for (const [verb, calls] of [
  ['create', { create: 1 }],
  ['replace', { read: 1, replace: 1 }],
] as const) {
  test(`the changes that the last commit stores by ${verb} are stored once, whatever is called meanwhile`, async (t) => {
    let held: Session | undefined
    const app = await mounted(
      t,
      { onConflict: 'throw' },
      {
        '/begin': ({ data }) => (data.n = 0),
        '/': (session) => ((held = session), (session.data.n = (session.data.n ?? 0) + 1)),
        '/see': ({ data }) => data,
      },
    )
    const browser = app.browser()
    if (verb === 'replace') await browser.get('/begin')
    app.store.counted()
    const storing = app.store.pause(verb)
    const answered = browser.get('/')
    await storing.arrived

    const saved = held?.save()
    const renewed = [held?.regenerate(), held?.signIn('ada')]
    storing.open()

    t.is((await answered).status, 200)
    await t.notThrowsAsync(saved ?? Promise.reject(new Error('no handler ran')))
    for (const each of renewed) await t.throwsAsync(each ?? Promise.resolve(), { code: 'ERR_SESSION_HEADERS_SENT' })
    t.deepEqual(app.store.counted(), calls)
    t.is((await browser.get('/see')).body, '{"n":1}')
  })
}

test('an update() that comes while the last commit is under way stores none of what that fails to store', async (t) => {
  const [arrived, failing] = [new Barrier(), new Barrier()]
  class Failing extends MemoryStore {
    override replace(record: SessionRecord, version: number, now: number): Replaced {
      if (!String(record.payload).includes('lost')) return super.replace(record, version, now)
      arrived.open()
      const answer = failing.pass().then(() => Promise.reject(new Error('out of order')))
      return answer as never // a store may answer later
    }
  }
  let held: Session | undefined
  const app = await mounted(
    t,
    { store: new Failing() },
    {
      '/begin': ({ data }) => (data.n = 0),
      '/': (session) => ((held = session), (session.data.name = 'lost')),
      '/see': ({ data }) => data,
    },
  )
  const browser = app.browser()
  await browser.get('/begin')
  const answered = browser.get('/')
  await arrived.pass()

  const updated = held?.update((data) => (data.n = 1))
  failing.open()

  t.is((await answered).status, 503)
  t.is(await updated, 1)
  t.is((await browser.get('/see')).body, '{"n":1}')
})

test('a last commit that is refused behind a save() is the last one all the same', async (t) => {
  let held: Session | undefined
  let saved: Promise<void> | undefined
  const app = await mounted(
    t,
    {},
    {
      '/begin': ({ data }) => (data.n = 0),
      '/': (session) => {
        held = session
        session.data.n = 1
        saved = session.save()
        session.data.thing = 1n
      },
      '/see': ({ data }) => data,
    },
  )
  const browser = app.browser()
  await browser.get('/begin')
  const storing = app.store.pause('replace')
  const answered = browser.get('/')
  await storing.arrived
  storing.open()
  t.is((await answered).status, 500)
  await saved

  t.throws(() => held && (held.data.thing = 2), CLOSED)
  await t.notThrowsAsync(held?.save() ?? Promise.reject(new Error('no handler ran')))
  t.is((await browser.get('/see')).body, '{"n":1}')
})
