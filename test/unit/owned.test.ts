import test from 'ava'
import { sessionsOf } from '../../src/session/owned.ts'

const count = (...pairs: (readonly [string, string | undefined])[]): number =>
  sessionsOf(new Set(pairs.map(([key]) => key)), new Map(pairs))

test('sessions that have no other before them are each one', (t) => {
  t.is(count(), 0)
  t.is(count(['a', undefined], ['b', undefined]), 2)
  t.is(count(['a', 'gone long ago'], ['b', 'gone as well'], ['c', undefined]), 3)
})

test('an id and the one that follows it are one session, however many follow', (t) => {
  t.is(count(['a', undefined], ['b', 'a'], ['c', 'b'], ['d', undefined]), 2)
})

test('two new ids of one session, of which one will lose, are one session', (t) => {
  t.is(count(['a', undefined], ['b', 'a'], ['c', 'a']), 1)
  t.is(count(['b', 'a'], ['c', 'a']), 1)
})

test('ids that name one another in a circle come to an end', (t) => {
  t.is(count(['a', 'b'], ['b', 'a'], ['c', undefined]), 3)
})
