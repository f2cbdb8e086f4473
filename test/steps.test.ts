import test from 'ava'
import { isPromise, settled, take, type Steps } from '../src/session/steps.ts'

test('a promise is told by its then', (t) => {
  t.true(isPromise(Promise.resolve(1)))
  t.true(isPromise({ then: () => undefined }))
  for (const answer of [undefined, null, true, 'then', {}, { then: 1 }]) t.false(isPromise(answer))
})

test('steps that wait for nothing are taken at once', (t) => {
  const sum = function* (): Steps<number> {
    return (yield* settled(1)) + (yield* settled(2))
  }

  t.is(take(sum()), 3)
})

test('steps that throw before they wait throw at once', (t) => {
  // eslint-disable-next-line require-yield -- it throws before it could
  const fail = function* (): Steps<number> {
    throw new Error('mine')
  }

  t.throws(() => take(fail()), { message: 'mine' })
})

test('steps wait for each promise in turn', async (t) => {
  const sum = function* (): Steps<number> {
    return (yield* settled(Promise.resolve(1))) + (yield* settled(2)) + (yield* settled(Promise.resolve(3)))
  }
  const answer = take(sum())

  t.true(isPromise(answer))
  t.is(await answer, 6)
})

test('a rejection is thrown where the steps wait, and may be caught there', async (t) => {
  const brave = function* (): Steps<string> {
    try {
      yield* settled(Promise.reject(new Error('the store failed')))
    } catch (error) {
      return (error as Error).message + (yield* settled(Promise.resolve(', again')))
    }
    return 'never'
  }
  const meek = function* (): Steps<void> {
    yield* settled(Promise.resolve())
    yield* settled(Promise.reject(new Error('the store failed')))
  }

  t.is(await take(brave()), 'the store failed, again')
  await t.throwsAsync(async () => take(meek()), { message: 'the store failed' })
})
