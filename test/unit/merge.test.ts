import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import { ABSENT, setOwn, valueOf, type Changes, type Flash, type Snapshot } from '../../src/record/changes.ts'
import { applyChanges, conflictingKeys, mergeFlash } from '../../src/record/merge.ts'
import { jsonCodec } from '../../src/record/codec.ts'
import { counterexample } from '../support/holds.ts'

const codec = jsonCodec(1000)

// Few names, so that two sides often mean the same one; the dangerous ones are among them.
const name = fc.constantFrom('a', 'b', 'c', 'd', '__proto__', 'constructor', 'toString')
const value = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.constant(null),
  fc.record({ deep: fc.integer({ min: 0, max: 2 }) }, { noNullPrototype: true }),
)
const snapshot = fc.array(fc.tuple(name, value)).map((pairs) => Object.fromEntries(pairs) as Snapshot)
const wanted = fc.array(fc.tuple(name, fc.oneof(value, fc.constant(ABSENT))), { maxLength: 5 })

/** Changes as a request that saw this snapshot would make them. */
const changesOf = (seen: Snapshot, pairs: readonly (readonly [string, unknown])[]): Changes =>
  [...new Map(pairs)].map(([key, value]) => ({ key, base: valueOf(seen, key), value }))

test('no change gives the snapshot itself', (t) => {
  const stored: Snapshot = { a: 1 }

  t.is(applyChanges(stored, []), stored)
})

test('applied changes are what is read afterwards, deletions included, and nothing else moved', (t) => {
  const isModel = (seen: Snapshot, pairs: [string, unknown][]): boolean => {
    const model = new Map(Object.entries(seen))
    const changes = changesOf(seen, pairs)
    for (const { key, value } of changes) {
      if (value === ABSENT) model.delete(key)
      else model.set(key, value)
    }
    return isDeepStrictEqual(new Map(Object.entries(applyChanges(seen, changes))), model)
  }

  t.is(counterexample(fc.property(snapshot, wanted, isModel)), undefined)
})

test('a snapshot is never written to', (t) => {
  t.notThrows(() =>
    applyChanges(
      Object.freeze({ a: 1, b: 2 }),
      changesOf({ a: 1 }, [
        ['a', 2],
        ['b', ABSENT],
      ]),
    ),
  )
})

test('applying changes twice is applying them once', (t) => {
  const isIdempotent = (seen: Snapshot, pairs: [string, unknown][]): boolean => {
    const changes = changesOf(seen, pairs)
    const once = applyChanges(seen, changes)
    return isDeepStrictEqual(applyChanges(once, changes), once)
  }

  t.is(counterexample(fc.property(snapshot, wanted, isIdempotent)), undefined)
})

test('changes of different keys give the same in either order, and conflict in neither', (t) => {
  const commute = (seen: Snapshot, one: [string, unknown][], other: [string, unknown][]): boolean => {
    const mine = changesOf(seen, one)
    const theirs = changesOf(
      seen,
      other.filter(([key]) => !mine.some((change) => change.key === key)),
    )
    const afterMine = applyChanges(seen, mine)
    const afterTheirs = applyChanges(seen, theirs)
    return (
      isDeepStrictEqual(applyChanges(afterTheirs, mine), applyChanges(afterMine, theirs)) &&
      conflictingKeys(afterMine, theirs, codec).length === 0 &&
      conflictingKeys(afterTheirs, mine, codec).length === 0
    )
  }

  t.is(counterexample(fc.property(snapshot, wanted, wanted, commute)), undefined)
})

test('a conflict is exactly a key that both sides changed', (t) => {
  const isExact = (seen: Snapshot, one: [string, unknown][], other: [string, unknown][]): boolean => {
    const mine = changesOf(seen, one)
    const newer = applyChanges(seen, changesOf(seen, other))
    const both = mine.map(({ key }) => key).filter((key) => !isDeepStrictEqual(valueOf(seen, key), valueOf(newer, key)))
    return isDeepStrictEqual(conflictingKeys(newer, mine, codec), both)
  }

  t.is(counterexample(fc.property(snapshot, wanted, wanted, isExact)), undefined)
})

test('nobody conflicts with a state that they have seen', (t) => {
  t.is(
    counterexample(
      fc.property(snapshot, wanted, (seen, pairs) => conflictingKeys(seen, changesOf(seen, pairs), codec).length === 0),
    ),
    undefined,
  )
})

test('two requests that both counted from 4 to 5 conflict', (t) => {
  t.deepEqual(conflictingKeys({ n: 5 }, [{ key: 'n', base: 4, value: 5 }], codec), ['n'])
})

test('a key that both sides added, and one that one deleted while the other changed it, conflict', (t) => {
  t.deepEqual(conflictingKeys({ n: 1 }, [{ key: 'n', base: ABSENT, value: 2 }], codec), ['n'])
  t.deepEqual(conflictingKeys({}, [{ key: 'n', base: 1, value: 2 }], codec), ['n'])
  t.deepEqual(conflictingKeys({}, [{ key: 'n', base: ABSENT, value: 2 }], codec), [])
})

test('what every object inherits is no data', (t) => {
  t.is(valueOf({}, 'toString'), ABSENT)
  t.is(valueOf({}, '__proto__'), ABSENT)
  t.is(valueOf({ toString: 1 }, 'toString'), 1)
})

test('a key called __proto__ is an own property and reaches no prototype', (t) => {
  const object: Record<string, unknown> = {}
  setOwn(object, '__proto__', { polluted: true })
  const applied = applyChanges({}, changesOf({}, [['__proto__', { polluted: true }]]))

  t.is(Object.getPrototypeOf(object), Object.prototype)
  t.deepEqual(Object.keys(object), ['__proto__'])
  t.deepEqual(Object.keys(applied), ['__proto__'])
  t.false('polluted' in {})
})

const flash = fc.uniqueArray(
  fc.tuple(fc.string({ minLength: 8, maxLength: 8 }), fc.constantFrom('info', 'error'), fc.integer()),
  { selector: ([tag]) => tag },
)

test('no flash message taken or put leaves the list itself', (t) => {
  const stored: Flash[] = [['tag', 'info', 1]]

  t.is(mergeFlash(stored, new Set(), []), stored)
})

test('parallel puts all survive, whatever was taken, and what was taken is gone', (t) => {
  const survive = (all: Flash[], taken: boolean[], cut: number): boolean => {
    const [stored, mine, theirs] = [all.slice(0, cut), all.slice(cut, cut + 3), all.slice(cut + 3)]
    const tags = new Set(stored.filter((_, at) => taken[at] === true).map(([tag]) => tag))
    const merged = mergeFlash(mergeFlash(stored, new Set(), theirs), tags, mine)
    const want = new Set(all.map(([tag]) => tag).filter((tag) => !tags.has(tag)))
    return isDeepStrictEqual(new Set(merged.map(([tag]) => tag)), want) && merged.length === want.size
  }

  t.is(counterexample(fc.property(flash, fc.array(fc.boolean()), fc.nat(5), survive)), undefined)
})
