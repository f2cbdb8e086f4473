import { pbkdf2 } from 'node:crypto'
import { inspect } from 'node:util'
import test from 'ava'
import { SessionError } from '../../src/errors.ts'
import { Events, type EventMessage } from '../../src/events.ts'
import { CheckedStore } from '../../src/checked-store.ts'
import { CorruptRecord, type RecordPage, type SessionRecord, type SessionStore } from '../../src/store.ts'

const NOW = 1000
const RECORD: SessionRecord = {
  key: 'the key',
  version: 1,
  payload: '{}',
  owner: undefined,
  createdAt: 0,
  lastSeenAt: 0,
  expiresAt: 2000,
}

class Silent extends Events {
  readonly told: EventMessage[] = []

  override emit(_name: string, message: EventMessage): void {
    this.told.push(message)
  }
}

function checked(verbs: Partial<SessionStore>, timeout = 20): { store: CheckedStore; events: Silent } {
  const events = new Silent({})
  const inner: SessionStore = {
    create: () => true,
    read: () => undefined,
    replace: () => 'done',
    touch: () => true,
    delete: () => true,
    ...verbs,
  }
  return { store: new CheckedStore(inner, timeout, events), events }
}

const calls: Record<string, (store: CheckedStore) => unknown> = {
  create: (store) => store.create(RECORD, NOW),
  read: (store) => store.read('the key', NOW),
  replace: (store) => store.replace(RECORD, 1, NOW),
  touch: (store) => store.touch(RECORD, NOW, 2000, NOW),
  delete: (store) => store.delete('the key'),
  list: (store) => store.list('ada', NOW, 10, undefined),
  listKeys: (store) => store.listKeys('ada', NOW, 10, undefined),
  scan: (store) => store.scan(NOW, 10, undefined),
  deleteExpired: (store) => store.deleteExpired(NOW, 10),
}
/** What a call answers, at once or later, as a promise. */
const answer = (call: () => unknown): Promise<unknown> => new Promise((resolve) => resolve(call()))
const PAGE: RecordPage = { records: [RECORD], cursor: 'next' }
const given: Record<string, unknown> = {
  create: true,
  read: RECORD,
  replace: 'stale',
  touch: false,
  delete: true,
  list: PAGE,
  listKeys: { keys: ['the key'], cursor: undefined },
  scan: PAGE,
  deleteExpired: 3,
}
const ofMany = ['list', 'listKeys', 'scan']
const keyOf = (verb: string): string | undefined =>
  verb === 'deleteExpired' || ofMany.includes(verb) ? undefined : 'the key'
/** A store whose verb does that; an index is needed for `listKeys`. */
const doing = (verb: string, does: () => unknown): Partial<SessionStore> => ({ list: () => PAGE, [verb]: does })

for (const [verb, call] of Object.entries(calls)) {
  if (!ofMany.includes(verb))
    test(`what ${verb} answers at once is passed on at once`, (t) => {
      t.is(call(checked(doing(verb, () => given[verb])).store), given[verb])
    })

  test(`what ${verb} promises is passed on, and so is what a query builder gives when it is awaited`, async (t) => {
    t.deepEqual(await call(checked(doing(verb, () => Promise.resolve(given[verb]))).store), given[verb])
    const builder = {
      then: (resolve: (value: unknown) => void) => {
        resolve(given[verb])
        resolve('again')
      },
    }
    t.deepEqual(await call(checked(doing(verb, () => builder)).store), given[verb])
  })

  test(`a ${verb} that throws or rejects is ERR_SESSION_STORE with its cause, and an event without it`, async (t) => {
    const cause = new Error('refused: {"card":"4111"}')
    for (const fail of [
      () => Promise.reject(cause),
      () => {
        throw cause
      },
    ]) {
      const { store, events } = checked(doing(verb, fail))
      const error = await t.throwsAsync<SessionError>(
        answer(() => call(store)),
        { code: 'ERR_SESSION_STORE', message: `the session store failed at ${verb}: error.cause says why` },
      )

      t.is(error.cause, cause)
      t.is(error.status, 503)
      t.like(events.told, [{ publicId: keyOf(verb), operation: verb, error: { message: error.message } }])
      t.is(events.told.length, 1)
      t.false(inspect(events.told, { depth: 9 }).includes('4111'))
    }
  })

  test(`a ${verb} that is not answered is ERR_SESSION_STORE at the deadline, and says whether its outcome is known`, async (t) => {
    const { store, events } = checked(doing(verb, () => new Promise(() => undefined)))
    const error = await t.throwsAsync(
      answer(() => call(store)),
      { code: 'ERR_SESSION_STORE' },
    )

    t.true(error.message.startsWith(`the session store did not answer ${verb} within options.storeTimeout (20 ms)`))
    t.is(
      error.message.endsWith('whether it happened is unknown, and it is not tried again'),
      verb !== 'read' && !ofMany.includes(verb),
    )
    t.is(error.cause, undefined)
    t.like(events.told[0], { kind: 'timeout', operation: verb })
  })

  test(`a ${verb} that answers what the contract does not know has failed, and is no answer`, async (t) => {
    const wrong: unknown[] = [5, Number.NaN, () => true, Symbol('x')]
    if (verb !== 'read') wrong.push(undefined, null, 'x', {}, [RECORD])
    if (verb !== 'create' && verb !== 'touch' && verb !== 'delete') wrong.push(true, false)
    if (verb === 'deleteExpired') wrong.splice(0, 1, -1, 1.5, Infinity, 5n)
    for (const value of wrong) {
      for (const does of [() => value, () => Promise.resolve(value)]) {
        const { store, events } = checked(doing(verb, does))
        await t.throwsAsync(
          answer(() => call(store)),
          { code: 'ERR_SESSION_STORE', message: /: it must answer .+, and answered / },
          inspect(value),
        )
        t.is(events.told.length, 1)
      }
    }
  })
}

test('a list at once, as stores of 0.1 gave it, is refused with words', async (t) => {
  const { store } = checked({ list: (() => [RECORD]) as unknown as SessionStore['list'] & object })

  await t.throwsAsync(store.list('ada', NOW, 10, undefined), {
    code: 'ERR_SESSION_STORE',
    message: /failed at list: it must answer a portion, \{ records, cursor \} \(a list at once, as in 0\.1, is none\)/,
  })
})

test('a portion whose cursor does not move is a failure, so that no list is endless', async (t) => {
  const { store } = checked({ list: () => ({ records: [], cursor: 'same' }) })

  t.deepEqual(await store.list('ada', NOW, 10, undefined), { records: [], cursor: 'same' })
  await t.throwsAsync(store.list('ada', NOW, 10, 'same'), { code: 'ERR_SESSION_STORE', message: /another one/ })
})

test('keys come by list where the store has no listKeys', async (t) => {
  const { store } = checked({ list: () => PAGE })

  t.deepEqual(await store.listKeys('ada', NOW, 10, undefined), { keys: ['the key'], cursor: 'next' })
})

test('the answers 1 and 0 of a store stand for true and false', (t) => {
  const { store } = checked({ create: () => 1, touch: () => 0 } as unknown as Partial<SessionStore>)

  t.true(store.create(RECORD, NOW))
  t.false(store.touch(RECORD, NOW, 2000, NOW))
})

test('a subscription ends once, and one that is refused is an event and as good as none', (t) => {
  const ended: (string | undefined)[] = []
  let ends = 0
  let announce: (key: string | undefined) => void = () => undefined
  const { store } = checked({
    subscribe: (onEnd) => {
      announce = onEnd
      return () => {
        ends++
      }
    },
  })
  const end = store.watch('subscribe', (key) => void ended.push(key))
  announce('a key')
  announce(undefined)
  end?.()
  end?.()

  t.deepEqual(ended, ['a key', undefined])
  t.is(ends, 1)
  t.is(
    checked({}).store.watch('subscribe', () => undefined),
    undefined,
  )
  t.is(
    checked({}).store.watch('watchEvictions', () => undefined),
    undefined,
  )
  const refused = checked({
    subscribe: () => {
      throw new Error('no subscriber')
    },
  })
  t.is(
    refused.store.watch('subscribe', () => undefined),
    undefined,
  )
  t.like(refused.events.told, [{ operation: 'subscribe' }])
})

test('a subscription that a store refuses by a promise is an event as well', async (t) => {
  const { store, events } = checked({ subscribe: () => Promise.reject(new Error('no subscriber')) as never })

  t.is(
    store.watch('subscribe', () => undefined),
    undefined,
  )
  await new Promise((resolve) => setImmediate(resolve))

  t.like(events.told, [{ operation: 'subscribe' }])
})

test('a store without scan is unsupported, not broken', async (t) => {
  await t.throwsAsync(checked({}).store.scan(NOW, 10, undefined), { code: 'ERR_SESSION_UNSUPPORTED' })
})

test('a subscription that is no function is an event: what an async one rejects with ends no process', async (t) => {
  for (const answered of [Promise.reject(new Error('no subscriber')), Promise.resolve(() => undefined), null, 5, {}]) {
    const { store, events } = checked({
      // The types forbid it, and stores in JavaScript do it.
      subscribe: () => answered as () => void,
      watchEvictions: () => answered as () => void,
    })

    t.is(
      store.watch('subscribe', () => undefined),
      undefined,
    )
    t.is(
      store.watch('watchEvictions', () => undefined),
      undefined,
    )
    t.like(events.told, [{ operation: 'subscribe' }, { operation: 'watchEvictions' }])
    await new Promise((resolve) => setImmediate(resolve))
  }
})

/** How many events a call causes whose answer comes after the deadline. */
async function lateEvents(late: () => Promise<unknown>): Promise<number> {
  let answer!: () => void
  const { store, events } = checked({
    delete: () => new Promise<void>((resolve) => (answer = resolve)).then(late) as Promise<boolean>,
  })
  await Promise.resolve(store.delete('the key')).catch(() => undefined)
  answer()
  await new Promise((resolve) => setImmediate(resolve))
  return events.told.length
}

test('an answer that comes after the deadline changes nothing', async (t) => {
  t.is(await lateEvents(() => Promise.resolve(true)), 1)
})

test('a failure that comes after the deadline is not told again', async (t) => {
  t.is(await lateEvents(() => Promise.reject(new Error('late'))), 1)
})

test('a store that rejects without a reason has failed all the same', async (t) => {
  const error = await t.throwsAsync(
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- that is the point
    async () => checked({ read: () => Promise.reject(undefined) }).store.read('the key', NOW),
    { code: 'ERR_SESSION_STORE' },
  )

  t.is((error.cause as Error).message, 'it gave no reason')
})

test("a session error of the store's own is passed on as it is", async (t) => {
  const error = new SessionError('ERR_SESSION_UNSUPPORTED', 'mine')
  const { store, events } = checked({ delete: () => Promise.reject(error) })

  t.is(await t.throwsAsync(async () => store.delete('the key')), error)
  t.deepEqual(events.told, [])
})

test('a failure that the store has put in its own words is passed on as it is, and an event tells it without its cause', async (t) => {
  const cause = Object.assign(new Error('PRIVATE'), { code: 'ECONNRESET' })
  const error = new SessionError('ERR_SESSION_STORE', 'mine', { cause })
  const { store, events } = checked({ touch: () => Promise.reject(error) })

  t.is(await t.throwsAsync(async () => store.touch(RECORD, NOW, 2000, NOW)), error)
  t.like(events.told, [
    { publicId: 'the key', operation: 'touch', kind: 'ECONNRESET', error: { message: 'mine', cause: undefined } },
  ])
  t.is(events.told.length, 1)
})

test('a record that has expired is none, whatever the store says', async (t) => {
  for (const expiresAt of [NOW, NOW - 1]) {
    t.is(checked({ read: () => ({ ...RECORD, expiresAt }) }).store.read('the key', NOW), undefined)
    t.is(await checked({ read: () => Promise.resolve({ ...RECORD, expiresAt }) }).store.read('the key', NOW), undefined)
  }
})

test('null for no record, or for an empty field, is undefined', async (t) => {
  const nulls = { ...RECORD, owner: null, meta: null } as unknown as SessionRecord

  t.is(checked({ read: () => null as unknown as undefined }).store.read('the key', NOW), undefined)
  t.like(await checked({ read: () => nulls }).store.read('the key', NOW), { owner: undefined, meta: undefined })
  t.like(
    await checked({ read: () => ({ ...RECORD, owner: null, meta: '{}' }) as unknown as SessionRecord }).store.read(
      'the key',
      NOW,
    ),
    { owner: undefined, meta: '{}' },
  )
  t.like(
    await checked({ read: () => ({ ...RECORD, owner: 'ada', meta: null }) as unknown as SessionRecord }).store.read(
      'the key',
      NOW,
    ),
    { owner: 'ada', meta: undefined },
  )
})

test('what cannot be read is a session that has ended, at once or promised, and no failure of the store', async (t) => {
  const damages: (() => unknown)[] = [
    () => ({ ...RECORD, key: 'another key' }),
    () => ({ ...RECORD, version: '1' }),
    () => ({ ...RECORD, version: 2n }),
    () => ({ ...RECORD, version: Number.MAX_SAFE_INTEGER }),
    () => ({ ...RECORD, expiresAt: NaN }),
    () => ({ ...RECORD, owner: 5 }),
    () => JSON.stringify(RECORD),
    () => [RECORD],
    () => {
      throw new CorruptRecord('cut off')
    },
  ]
  for (const damage of damages) {
    const { store, events } = checked({ read: damage as () => undefined })
    t.is(store.read('the key', NOW), 'corrupt')
    // eslint-disable-next-line @typescript-eslint/require-await -- a store that rejects
    t.is(await checked({ read: async () => damage() as undefined }).store.read('the key', NOW), 'corrupt')
    t.deepEqual(events.told, [])
  }
})

test('what cannot be read is left out of a list, and null for an empty field is undefined there, too', async (t) => {
  const good = { ...RECORD, owner: 'ada' }
  const records = [good, { ...RECORD, payload: 5 }, { ...good, meta: null }, null, { ...good, expiresAt: NOW }]
  const page = { records, cursor: null } as unknown as RecordPage

  for (const list of [() => page, () => Promise.resolve(page)])
    t.deepEqual(await checked({ list }).store.list('ada', NOW, 10, undefined), {
      records: [good, { ...good, meta: undefined }],
      cursor: undefined,
    })
})

test('a store without an index by owner is unsupported, not broken', async (t) => {
  const { store, events } = checked({})

  t.throws(() => store.assertIndex(), { code: 'ERR_SESSION_UNSUPPORTED' })
  await t.throwsAsync(store.list('ada', NOW, 10, undefined), { code: 'ERR_SESSION_UNSUPPORTED' })
  t.notThrows(() => checked({ list: () => PAGE }).store.assertIndex())
  t.deepEqual(events.told, [])
})

test('a store that expires records itself has nothing to sweep', (t) => {
  t.false(checked({}).store.isSweepable)
  t.is(checked({}).store.deleteExpired(NOW, 10), 0)
  t.true(checked({ deleteExpired: () => 1 }).store.isSweepable)
})

test('close waits for work that goes on, refuses new work, and closes the store once', async (t) => {
  const order: string[] = []
  const { store } = checked({ close: () => void order.push('closed') })
  store.begin()
  store.begin()
  const closing = store.close()
  t.throws(() => store.begin(), { code: 'ERR_SESSION_STORE' })
  t.true(store.isClosed)
  store.end()
  await Promise.resolve()
  order.push('left')
  store.end()
  await closing
  await store.close()

  t.deepEqual(order, ['left', 'closed'])
})

test('a store that fails to close is ERR_SESSION_STORE and an event, once, whatever it throws', async (t) => {
  const cause = new Error('PRIVATE')
  for (const [close, expected] of [
    [() => Promise.reject(cause), cause],
    [
      () => {
        throw cause
      },
      cause,
    ],
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- that is the point
    [() => Promise.reject(undefined), new Error('it gave no reason')],
  ] as const) {
    const { store, events } = checked({ close })
    const first = store.close()
    const second = store.close()
    const error = await t.throwsAsync<SessionError>(first, { code: 'ERR_SESSION_STORE' })

    t.deepEqual(error.cause, expected)
    await t.notThrowsAsync(second)
    await t.notThrowsAsync(store.close())
    t.like(events.told, [{ operation: 'close', publicId: undefined }])
    t.is(events.told.length, 1)
  }
})

test('a store without close is closed at once', async (t) => {
  await t.notThrowsAsync(checked({}).store.close())
})

// The process was busy for longer than the deadline, and the answer has arrived meanwhile: Node runs timers before it reads sockets.

test.serial('an answer that arrived while the process was busy is in time', async (t) => {
  const store = new CheckedStore(
    {
      create: () => true,
      // One task of the thread pool: its end is read in the same phase of the event loop as a socket.
      read: () => new Promise((resolve) => pbkdf2('a', 'b', 1, 8, 'sha256', () => resolve(undefined))),
      replace: () => 'done',
      touch: () => true,
      delete: () => true,
    },
    50,
    new Events({}),
  )
  const answer = Promise.resolve(store.read('key', 1000))
  for (const until = performance.now() + 300; performance.now() < until;);

  await t.notThrowsAsync(answer)
})
