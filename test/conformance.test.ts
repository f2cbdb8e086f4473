import { AssertionError } from 'node:assert'
import test from 'ava'
import { storeChecks } from 'koa-fastsession/conformance'
import type { SessionStore } from '../src/store.ts'
import { brokenIndexes } from './support/broken-indexes.ts'
import { brokenReads } from './support/broken-reads.ts'
import { brokenWrites } from './support/broken-writes.ts'
import { PlainStore } from './support/plain-store.ts'

const brokenStores = [...brokenWrites, ...brokenReads, ...brokenIndexes]

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

  test(`a store without optional verbs: ${title}`, (t) => t.notThrowsAsync(run(withoutOptionalVerbs())))
}

for (const { fault, caughtBy, open } of brokenStores) {
  for (const expected of caughtBy) {
    test(`that ${fault} is caught by: ${expected}`, async (t) => {
      const check = storeChecks.find(({ title }) => title === expected)

      await t.throwsAsync(check?.run(open()) ?? Promise.resolve(), {
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
