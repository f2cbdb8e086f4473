import test from 'ava'
import { SessionError } from '../src/errors.ts'
import { Events, type EventMessage } from '../src/events.ts'
import { CORRUPT, Guard } from '../src/checked-store.ts'
import { CorruptRecord, type SessionRecord, type SessionStore } from '../src/store.ts'

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

function guarded(verbs: Partial<SessionStore>, timeout = 20): { guard: Guard; events: Silent } {
  const events = new Silent(undefined)
  const store: SessionStore = {
    create: () => true,
    read: () => undefined,
    replace: () => 'done',
    touch: () => true,
    delete: () => true,
    ...verbs,
  }
  return { guard: new Guard(store, timeout, events), events }
}

const calls: Record<string, (guard: Guard) => unknown> = {
  create: (guard) => guard.create(RECORD, NOW),
  read: (guard) => guard.read('the key', NOW),
  replace: (guard) => guard.replace(RECORD, 1, NOW),
  touch: (guard) => guard.touch(RECORD, NOW, 2000, NOW),
  delete: (guard) => guard.delete('the key'),
  list: (guard) => guard.list('ada', NOW),
  deleteExpired: (guard) => guard.deleteExpired(NOW, 10),
}
/** What a call answers, at once or later, as a promise. */
const answer = (call: () => unknown): Promise<unknown> => new Promise((resolve) => resolve(call()))
const given = (verb: string): unknown => (verb === 'read' ? RECORD : verb === 'list' ? [RECORD] : 'the answer')
const keyOf = (verb: string): string | undefined =>
  verb === 'list' || verb === 'deleteExpired' ? undefined : 'the key'

for (const [verb, call] of Object.entries(calls)) {
  test(`what ${verb} answers at once is passed on at once`, (t) => {
    const answered = given(verb)

    t.is(call(guarded({ [verb]: () => answered }).guard), answered)
  })

  test(`what ${verb} promises is passed on`, async (t) => {
    const promised = given(verb)

    t.is(await call(guarded({ [verb]: () => Promise.resolve(promised) }).guard), promised)
  })

  test(`a ${verb} that throws or rejects is ERR_SESSION_STORE with its cause, and an event`, async (t) => {
    const cause = new Error('connection refused')
    for (const fail of [
      () => Promise.reject(cause),
      () => {
        throw cause
      },
    ]) {
      const { guard, events } = guarded({ [verb]: fail })
      const error = await t.throwsAsync<SessionError>(
        answer(() => call(guard)),
        { code: 'ERR_SESSION_STORE', message: `the session store failed at ${verb}: error.cause says why` },
      )

      t.is(error.cause, cause)
      t.is(error.status, 503)
      t.deepEqual(events.told, [{ publicId: keyOf(verb), operation: verb, error: cause }])
    }
  })

  test(`a ${verb} that is not answered is ERR_SESSION_STORE at the deadline, and says whether its outcome is known`, async (t) => {
    const { guard, events } = guarded({ [verb]: () => new Promise(() => undefined) })
    const error = await t.throwsAsync(
      answer(() => call(guard)),
      { code: 'ERR_SESSION_STORE' },
    )

    t.true(error.message.startsWith(`the session store did not answer ${verb} within options.storeTimeout (20 ms)`))
    t.is(
      error.message.endsWith('whether it happened is unknown, and it is not tried again'),
      verb !== 'read' && verb !== 'list',
    )
    t.is(error.cause, undefined)
    t.is((events.told[0]?.error as Error).message, 'no answer within 20 ms')
  })
}

/** How many events a call causes whose answer comes after the deadline. */
async function lateEvents(late: () => Promise<unknown>): Promise<number> {
  let answer!: () => void
  const { guard, events } = guarded({
    delete: () => new Promise<void>((resolve) => (answer = resolve)).then(late) as Promise<boolean>,
  })
  await Promise.resolve(guard.delete('the key')).catch(() => undefined)
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
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- that is the point
  const error = await t.throwsAsync(
    async () => guarded({ read: () => Promise.reject(undefined) }).guard.read('the key', NOW),
    { code: 'ERR_SESSION_STORE' },
  )

  t.is((error.cause as Error).message, 'it gave no reason')
})

test("a session error of the store's own is passed on as it is", async (t) => {
  const error = new SessionError('ERR_SESSION_UNSUPPORTED', 'mine')
  const { guard, events } = guarded({ delete: () => Promise.reject(error) })

  t.is(await t.throwsAsync(async () => guard.delete('the key')), error)
  t.deepEqual(events.told, [])
})

test('a record that has expired is none, whatever the store says', async (t) => {
  for (const expiresAt of [NOW, NOW - 1]) {
    t.is(guarded({ read: () => ({ ...RECORD, expiresAt }) }).guard.read('the key', NOW), undefined)
    t.is(await guarded({ read: () => Promise.resolve({ ...RECORD, expiresAt }) }).guard.read('the key', NOW), undefined)
  }
})

test('null for no record, or for an empty field, is undefined', async (t) => {
  const nulls = { ...RECORD, owner: null, meta: null } as unknown as SessionRecord

  t.is(guarded({ read: () => null as unknown as undefined }).guard.read('the key', NOW), undefined)
  t.like(await guarded({ read: () => nulls }).guard.read('the key', NOW), { owner: undefined, meta: undefined })
  t.like(
    await guarded({ read: () => ({ ...RECORD, owner: null, meta: '{}' }) as unknown as SessionRecord }).guard.read(
      'the key',
      NOW,
    ),
    { owner: undefined, meta: '{}' },
  )
  t.like(
    await guarded({ read: () => ({ ...RECORD, owner: 'ada', meta: null }) as unknown as SessionRecord }).guard.read(
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
    () => {
      throw new CorruptRecord('cut off')
    },
  ]
  for (const damage of damages) {
    const { guard, events } = guarded({ read: damage as () => undefined })
    t.is(guard.read('the key', NOW), CORRUPT)
    // eslint-disable-next-line @typescript-eslint/require-await -- a store that rejects
    t.is(await guarded({ read: async () => damage() as undefined }).guard.read('the key', NOW), CORRUPT)
    t.deepEqual(events.told, [])
  }
})

test('what cannot be read is left out of a list, and null for an empty field is undefined there, too', async (t) => {
  const good = { ...RECORD, owner: 'ada' }
  const listed = [good, { ...RECORD, payload: 5 }, { ...good, meta: null }] as unknown as SessionRecord[]

  for (const list of [() => listed, () => Promise.resolve(listed)])
    t.deepEqual(await guarded({ list }).guard.list('ada', NOW), [good, { ...good, meta: undefined }])
})

test('a store without an index by owner is unsupported, not broken', (t) => {
  const { guard, events } = guarded({})

  t.throws(() => guard.assertIndex(), { code: 'ERR_SESSION_UNSUPPORTED' })
  t.throws(() => guard.list('ada', NOW), { code: 'ERR_SESSION_UNSUPPORTED' })
  t.notThrows(() => guarded({ list: () => [] }).guard.assertIndex())
  t.deepEqual(events.told, [])
})

test('a store that expires records itself has nothing to sweep', (t) => {
  t.false(guarded({}).guard.isSweepable)
  t.is(guarded({}).guard.deleteExpired(NOW, 10), 0)
  t.true(guarded({ deleteExpired: () => 1 }).guard.isSweepable)
})

test('close waits for work that goes on, refuses new work, and closes the store once', async (t) => {
  const order: string[] = []
  const { guard } = guarded({ close: () => void order.push('closed') })
  guard.enter()
  guard.enter()
  const closing = guard.close()
  t.throws(() => guard.enter(), { code: 'ERR_SESSION_STORE' })
  t.throws(() => guard.assertOpen(), { code: 'ERR_SESSION_STORE' })
  guard.leave()
  await Promise.resolve()
  order.push('left')
  guard.leave()
  await closing
  await guard.close()

  t.deepEqual(order, ['left', 'closed'])
})

test('a store without close is closed at once', async (t) => {
  await t.notThrowsAsync(guarded({}).guard.close())
})
