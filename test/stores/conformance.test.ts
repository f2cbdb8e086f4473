import { AssertionError } from 'node:assert'
import test from 'ava'
import { setImmediate as turn } from 'node:timers/promises'
import { storeChecks, type StoreSource } from 'koa-fastsession/conformance'
import { check as makeCheck } from '../../src/conformance/run.ts'
import type { SessionRecord, SessionStore } from '../../src/store.ts'
import { brokenAnswers } from '../support/broken-answers.ts'
import { brokenClocks } from '../support/broken-clocks.ts'
import { brokenEnds } from '../support/broken-ends.ts'
import { brokenIndexes } from '../support/broken-indexes.ts'
import { brokenLimits } from '../support/broken-limits.ts'
import { brokenNeighbours } from '../support/broken-neighbours.ts'
import { brokenPortions } from '../support/broken-portions.ts'
import { brokenReads } from '../support/broken-reads.ts'
import { brokenWrites } from '../support/broken-writes.ts'
import { PlainStore } from '../support/plain-store.ts'

const brokenStores = [
  ...brokenWrites,
  ...brokenAnswers,
  ...brokenReads,
  ...brokenLimits,
  ...brokenIndexes,
  ...brokenPortions,
  ...brokenNeighbours,
  ...brokenClocks,
  ...brokenEnds,
]

/** Only what every store must have, and every answer a promise. */
function withoutOptionalVerbs(): SessionStore {
  const store = new PlainStore()
  return {
    create: async (record, now) => store.create(record, now),
    read: async (key, now) => store.read(key, now),
    replace: async (record, version, now) => store.replace(record, version, now),
    touch: async (key, version, lastSeenAt, expiresAt, now) => store.touch(key, version, lastSeenAt, expiresAt, now),
    delete: async (key) => store.delete(key),
  }
}

const shared = new PlainStore()

for (const { title, run } of storeChecks) {
  test(`a fresh correct store: ${title}`, (t) => t.notThrowsAsync(run(new PlainStore())))

  test(`a correct store that all checks share: ${title}`, (t) => t.notThrowsAsync(run(Promise.resolve(shared))))

  test(`correct stores over the same data: ${title}`, (t) => {
    const records = new Map<string, SessionRecord>()
    return t.notThrowsAsync(run(() => new PlainStore(records)))
  })

  test(`it leaves nothing behind: ${title}`, async (t) => {
    const records = new Map<string, SessionRecord>()
    await run(new PlainStore(records))
    await run(() => Promise.resolve(new PlainStore(records)))

    t.is(records.size, 0)
  })

  test(`a store without optional verbs: ${title}`, (t) => t.notThrowsAsync(run(withoutOptionalVerbs())))
}

const heard = storeChecks.filter(({ title }) => title.includes('announces a delete') || title.includes('hears'))
for (const late of [100, 500])
  for (const { title, run } of heard)
    test(`a correct store whose announcements take ${late} ms: ${title}`, (t) => {
      class Late extends PlainStore {
        override subscribe(onEnd: (key: string | undefined) => void): () => void {
          return super.subscribe((key) => void setTimeout(onEnd, late, key))
        }
      }
      const records = new Map<string, SessionRecord>()
      return t.notThrowsAsync(run(() => new Late(records)))
    })

for (const { fault, caughtBy, source } of brokenStores) {
  for (const expected of caughtBy) {
    test(`that ${fault} is caught by: ${expected}`, async (t) => {
      const check = storeChecks.find(({ title }) => title === expected)

      await t.throwsAsync(check?.run(source()) ?? Promise.resolve(), {
        instanceOf: fault.includes('throws') ? Error : AssertionError,
      })
    })
  }
}

test('no two checks have one title', (t) => {
  t.is(new Set(storeChecks.map(({ title }) => title)).size, storeChecks.length)
})

test('each check catches at least one of the broken stores', (t) => {
  const catching = new Set(brokenStores.flatMap(({ caughtBy }) => caughtBy))

  t.deepEqual(
    storeChecks.map(({ title }) => title).filter((title) => !catching.has(title)),
    [],
  )
})

test('the check that closes its store is the last one', (t) => {
  const closing = storeChecks.filter(({ title }) => title.includes('close'))

  t.deepEqual(closing, storeChecks.slice(-1))
})

test('a store that cannot be opened fails the check with its own error, and the next check runs', async (t) => {
  const [first] = storeChecks

  await t.throwsAsync(first?.run(Promise.reject(new Error('no such database'))) ?? Promise.resolve(), {
    message: 'no such database',
  })
  await t.notThrowsAsync(first?.run(new PlainStore()) ?? Promise.reject(new Error('no check')))
})

test('what is no store, and opens none, is refused by every check in words that say what run() takes', async (t) => {
  const wrong: readonly [given: unknown, got: string][] = [
    [undefined, 'undefined'],
    [{}, 'an object without create()'],
    [Promise.resolve(null), 'null'],
    [() => 5, '5'],
  ]
  for (const [given, got] of wrong) {
    for (const { run, title } of storeChecks) {
      const expected = `run() must get a store, a promise of one, or a function that opens one, got ${got}`
      await t.throwsAsync(
        // As tests in JavaScript may call it.
        run(given as StoreSource),
        { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', message: expected },
        title,
      )
    }
  }
})

test('a check that fails leaves nothing behind, and closes what it opened', async (t) => {
  const records = new Map<string, SessionRecord>()
  let closed = 0
  class Forgetful extends PlainStore {
    override read(): undefined {
      // it keeps what it never hands out
    }

    override close(): void {
      closed++
    }
  }
  const [first] = storeChecks

  await t.throwsAsync(first?.run(() => new Forgetful(records)) ?? Promise.resolve(), { instanceOf: AssertionError })
  t.is(records.size, 0)
  t.is(closed, 1)
  await t.throwsAsync(first?.run(new Forgetful(records)) ?? Promise.resolve(), { instanceOf: AssertionError })
  t.is(records.size, 0)
  t.is(closed, 1, 'what was given is not closed')
})

test('a store that does not answer fails its check in time, with its verb, and reaches no other check', async (t) => {
  const records = new Map<string, SessionRecord>()
  let answer: (() => void) | undefined
  class Silent extends PlainStore {
    override async read(): Promise<undefined> {
      await new Promise<void>((resolve) => {
        answer = resolve
      })
    }
  }
  const record = { key: 'k', version: 1, payload: '', owner: undefined, createdAt: 0, lastSeenAt: 0, expiresAt: 1 }
  let afterwards: unknown
  const slow = makeCheck(
    'slow',
    async (store) => {
      await store.create(record, 0)
      await store.read('k', 0)
      afterwards = await Promise.resolve(store.create(record, 0)).catch((error: unknown) => error)
    },
    50,
  )
  const run = slow.run(new Silent(records))
  const next = storeChecks[0]?.run(new PlainStore())

  await t.throwsAsync(run, {
    instanceOf: AssertionError,
    message: 'the check did not end within 0.05 s: the store did not answer read',
  })
  t.is(records.size, 0)
  await t.notThrowsAsync(next ?? Promise.reject(new Error('no check')))
  answer?.()
  await turn()
  t.is(afterwards, undefined)
  t.is(records.size, 0, 'what a check does after its deadline does not reach the store')
})

test('a store that is never opened fails its check in time', async (t) => {
  const check = makeCheck('slow', () => Promise.resolve(), 50)

  await t.throwsAsync(check.run(new Promise<SessionStore>(() => undefined)), { message: /the store was not opened/ })
})

test('a store that opens after its check has ended is closed, unless it was given', async (t) => {
  for (const isGiven of [false, true]) {
    let closed = 0
    class Counted extends PlainStore {
      override close(): void {
        closed++
      }
    }
    let open: (store: SessionStore) => void = () => undefined
    const opening = new Promise<SessionStore>((resolve) => (open = resolve))
    const check = makeCheck('slow', () => Promise.resolve(), 50)
    await t.throwsAsync(check.run(isGiven ? opening : () => opening), { message: /the store was not opened/ })

    open(new Counted())
    await turn()

    t.is(closed, isGiven ? 0 : 1)
  }
})

test('a function that opens the same store twice is told so', async (t) => {
  const store = new PlainStore()
  const check = storeChecks.find(({ title }) => title.startsWith('where a function opens the store'))

  await t.throwsAsync(check?.run(() => store) ?? Promise.resolve(), {
    message: 'the function must open another store with each call',
  })
})

test('a list of version 0.1 is told what it must give', async (t) => {
  class Old extends PlainStore {
    override list(owner: string, now: number): never {
      // The types forbid it, and stores in JavaScript do it.
      return this.owned(owner, now) as never
    }
  }
  const check = storeChecks.find(({ title }) => title.includes("an owner's live records in full"))

  await t.throwsAsync(check?.run(new Old()) ?? Promise.resolve(), {
    message: 'list must give a portion, { records, cursor }: an array of all, as version 0.1 asked for, is none',
  })
})
