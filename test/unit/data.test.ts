import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import test from 'ava'
import * as devalue from 'devalue'
import fc from 'fast-check'
import { ABSENT, NO_CHANGES, type Snapshot } from '../../src/record/changes.ts'
import { customCodec } from '../../src/record/codec.ts'
import type { Data, DataSession } from '../../src/session/data.ts'
import { counterexample } from '../support/holds.ts'
import { applyAll, dataOf, json, OPEN, plain, STORED, wanted, wantedBy, type Loose } from '../support/data.ts'

test('data reads, lists, spreads, prints and compares as the plain object that it stands for', (t) => {
  const { view } = dataOf(STORED)
  const { n, ...rest } = view

  t.is(n, 1)
  t.deepEqual(rest, { name: 'ada', nested: { list: [1, 2] }, nothing: null })
  t.deepEqual({ ...view }, plain())
  t.deepEqual(Object.keys(view), Object.keys(STORED))
  t.is(JSON.stringify(view), JSON.stringify(STORED))
  t.deepEqual(view, plain())
  t.notThrows(() => assert.deepStrictEqual(view, plain()))
  t.deepEqual(Object.entries(view), Object.entries(plain()))
  t.is(inspect(view), inspect(plain()))
  t.true('n' in view && Object.hasOwn(view, 'n') && !('m' in view) && !Object.hasOwn(view, 'm'))
  t.is(Object.prototype.toString.call(view), '[object Object]')
  t.is(Object.getPrototypeOf(view), Object.prototype)
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- as careless code does
  t.is(String(view), '[object Object]')
})

test('whatever a handler does, data behaves as a plain object, and its changes lead to that object', (t) => {
  const key = fc.constantFrom('a', 'b', 'c', 'toString')
  const value = fc.oneof(
    fc.constant(undefined),
    fc.integer({ min: 0, max: 2 }),
    fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 2 }),
  )
  const step = fc.oneof(
    fc.tuple(fc.constant('set' as const), key, value),
    fc.tuple(fc.constant('delete' as const), key, value),
    fc.tuple(fc.constant('push' as const), key, value),
    fc.tuple(fc.constant('replace' as const), key, value),
  )
  const act = (
    target: Loose,
    [what, key, value]: readonly ['set' | 'delete' | 'push' | 'replace', string, unknown],
    replace: (contents: Loose) => void,
  ): void => {
    const copy: unknown = Array.isArray(value) ? [...(value as unknown[])] : value
    if (what === 'set') target[key] = copy
    else if (what === 'delete') Reflect.deleteProperty(target, key)
    else if (what === 'replace') replace({ [key]: copy })
    else if (Array.isArray(target[key])) (target[key] as unknown[]).push(7)
  }
  const sorted = (object: Loose): [string, unknown][] =>
    Object.entries(object).sort(([one], [other]) => (one < other ? -1 : 1))
  const kept = (object: Loose): [string, unknown][] => sorted(object).filter(([, value]) => value !== undefined)
  const agrees = (
    seen: Loose,
    steps: (readonly ['set' | 'delete' | 'push' | 'replace', string, unknown])[],
  ): boolean => {
    const start = JSON.parse(JSON.stringify(seen)) as Loose
    const model = JSON.parse(JSON.stringify(seen)) as Loose
    const { data, view } = dataOf(start)
    for (const one of steps) {
      act(view, one, (contents) => data.replaceAll(contents))
      act(model, one, (contents) => {
        for (const key of Object.keys(model)) Reflect.deleteProperty(model, key)
        Object.assign(model, contents)
      })
    }
    assert.deepStrictEqual(sorted(view), sorted(model))
    assert.deepStrictEqual(kept(applyAll(start, data.changes())), kept(model))
    assert.equal(data.isEmpty, kept(model).length === 0)
    return true
  }
  const seen = fc.dictionary(key, value, { noNullPrototype: true })

  t.is(counterexample(fc.property(seen, fc.array(step), agrees), 2000), undefined)
})

test('data has what every plain object inherits, and what it stores comes first', (t) => {
  const { view } = dataOf({ valueOf: 'mine' })

  t.is<unknown, unknown>(view['valueOf' as string], 'mine')
  t.is(view.constructor, Object)
  t.true('hasOwnProperty' in view)
  // eslint-disable-next-line no-prototype-builtins -- as careless code does
  t.true(view.hasOwnProperty('valueOf'))
})

test('a key called __proto__, constructor or toString is data like another', (t) => {
  const made = dataOf(JSON.parse('{"__proto__":{"a":1}}') as Snapshot)
  const { data, view } = made
  for (const name of ['constructor', 'toString']) view[name] = 5
  ;(view['__proto__'] as Loose)['a'] = 2

  t.deepEqual(wanted(made).constructor, 5)
  t.deepEqual(Object.keys(applyAll({}, data.changes())).sort(), ['__proto__', 'constructor', 'toString'])
  t.deepEqual(data.changes().find(({ key }) => key === '__proto__')?.value, { a: 2 })
  t.false('a' in {})
})

test('without a stored one, __proto__ reads as nothing, so that no client reaches all objects', (t) => {
  const { view } = dataOf({})

  t.is(view['__proto__'], undefined)
  t.throws(() => ((view['__proto__'] as Loose)['polluted'] = 1), { instanceOf: TypeError })
})

test('reading changes nothing', (t) => {
  const made = dataOf(STORED)
  JSON.stringify(made.view)

  t.is(made.data.changes().length, 0)
})

test('an untouched session is not compared', (t) => {
  t.is(dataOf(STORED).data.changes(), NO_CHANGES.changes)
})

test('an untouched session goes on over another snapshot, whatever became of it', (t) => {
  for (const move of [
    (data: Data) => data.settle({ n: 2 }, []),
    (data: Data) => data.detach({ n: 2 }, []),
    (data: Data) => data.reset({ n: 2 }),
  ]) {
    const { data, view } = dataOf(STORED)
    move(data)
    data.freeze()
    t.deepEqual(view, { n: 2 })
  }
})

test('writing an equal value is no change, however deep', (t) => {
  const made = dataOf(STORED)
  Object.assign(made.view, plain())

  t.is(made.data.changes().length, 0)
})

test('the order of keys inside a value is kept, as JSON keeps it', (t) => {
  const made = dataOf({ pair: { a: 1, b: 2 } })
  made.view['pair'] = { b: 2, a: 1 }

  t.is(JSON.stringify(wanted(made)), '{"pair":{"b":2,"a":1}}')
})

test('a nested change counts, and one taken back does not', (t) => {
  const made = dataOf(STORED)
  const { list } = made.view['nested'] as { list: number[] }
  list.push(3)
  t.deepEqual(wanted(made), { nested: { list: [1, 2, 3] } })

  list.pop()
  t.deepEqual(wanted(made), {})
})

test('undefined counts as deleted, and a key that never was is no deletion', (t) => {
  const made = dataOf(STORED)
  Object.assign(made.view, { n: undefined, never: undefined })
  delete made.view['neither']

  t.true('n' in made.view)
  t.deepEqual(wanted(made), { n: ABSENT })
})

test('what was deleted and put back is unchanged', (t) => {
  const made = dataOf(STORED)
  delete made.view['n']
  t.false('n' in made.view)
  made.view['n'] = 1

  t.deepEqual(wanted(made), {})
})

test('replacing all deletes what is not there any more, and may be given data itself', (t) => {
  const made = dataOf(STORED)
  made.data.replaceAll({ ...made.view, name: 'eve', n: undefined })
  t.deepEqual(wanted(made), { n: ABSENT, name: 'eve' })

  const same = dataOf(STORED)
  same.data.replaceAll(same.view)
  t.deepEqual(wanted(same), {})
})

test('the snapshot is never handed out: writing to what was read leaves it alone', (t) => {
  const snapshot = { nested: { list: [1] } }
  const { view } = dataOf(snapshot)
  ;(view['nested'] as { list: number[] }).list.push(2)

  t.deepEqual(snapshot, { nested: { list: [1] } })
})

test("the app's own objects are copied, never frozen and never kept", (t) => {
  const made = dataOf(STORED)
  const mine = { list: [1] }
  made.view['mine'] = mine
  ;(made.view['nested'] as Loose)['mine'] = mine
  const changes = made.data.changes()
  mine.list.push(2)
  made.data.freeze()

  t.deepEqual(wantedBy(changes)['mine'], { list: [1] })
  t.notThrows(() => mine.list.push(3))
  t.false(Object.isFrozen(mine))
})

test('a symbol for a key is refused when it is written, and nowhere when it is read', (t) => {
  const { view } = dataOf(STORED)
  const mark = Symbol('mark')

  t.throws(() => ((view as Record<symbol, unknown>)[mark] = 1), { code: 'ERR_SESSION_VALUE' })
  t.throws(() => Object.defineProperty(view, mark, { value: 1 }), { code: 'ERR_SESSION_VALUE' })
  t.is((view as Record<symbol, unknown>)[mark], undefined)
  t.false(mark in view)
  t.true(Reflect.deleteProperty(view, mark))
  t.is(Object.getOwnPropertyDescriptor(view, mark), undefined)
})

test('a plain property may be defined; a getter, a hidden or a fixed one may not', (t) => {
  const made = dataOf(STORED)
  Object.defineProperty(made.view, 'n', { value: 2, writable: true, enumerable: true, configurable: true })
  t.deepEqual(wanted(made), { n: 2 })

  for (const property of [
    { get: () => 1 },
    { set: () => undefined },
    { value: 1, writable: false },
    { value: 1, enumerable: false },
    { value: 1, configurable: false },
  ]) {
    t.throws(() => Object.defineProperty(made.view, 'n', property), {
      instanceOf: TypeError,
      message: /^session\.data keeps plain properties alone/,
    })
  }
  t.deepEqual(wanted(made), { n: 2 })
})

test('a new property that leaves attributes out would be hidden and fixed, and is refused', (t) => {
  const made = dataOf(STORED)

  t.throws(() => Object.defineProperty(made.view, 'hidden', { value: 1 }), { message: /plain properties alone/ })
  Object.defineProperty(made.view, 'shown', { value: 1, writable: true, enumerable: true, configurable: true })
  Object.defineProperty(made.view, 'n', { value: 2 })

  t.deepEqual(wanted(made), { shown: 1, n: 2 })
})

test('defining a property without a value leaves its value, as in a plain object', (t) => {
  const { view } = dataOf(STORED)
  Object.defineProperty(view, 'n', { enumerable: true })

  t.is(view['n'], 1)
})

test('data can be neither frozen, sealed, given another prototype nor cloned', (t) => {
  const { view } = dataOf(STORED)

  for (const act of [Object.freeze, Object.seal, Object.preventExtensions])
    t.throws(() => act(view), { instanceOf: TypeError, message: /^session\.data cannot be frozen or sealed: / })
  t.false(Object.isFrozen(view))
  t.throws(() => Object.setPrototypeOf(view, null) as unknown, { message: /^session\.data is a plain object/ })
  t.notThrows(() => Object.setPrototypeOf(view, Object.prototype) as unknown)
  t.throws(() => structuredClone(view), { any: true, name: 'DataCloneError' })
})

test('a print-out that asks for everything shows neither the snapshot nor who made it', (t) => {
  const { view } = dataOf({ secret: 'hunter2' }, json, { ...OPEN, visit: 'an id' } as DataSession)

  t.false(inspect(view, { customInspect: false, showHidden: true, showProxy: true, depth: 9 }).includes('hunter2'))
})

test('texts, truth values and numbers are changed when they differ, and stored as they are', (t) => {
  const stored = { text: 'a', number: 1, truth: true, zero: 0, nothing: null }
  const same = dataOf(stored)
  Object.assign(same.view, { ...stored, zero: -0 })
  t.deepEqual(wanted(same), {})

  for (const [key, value] of Object.entries({ text: 'b', number: 2, truth: false, zero: 0.5, nothing: 'a', more: 1 })) {
    const made = dataOf(stored)
    made.view[key] = value
    t.deepEqual(wanted(made), { [key]: value })
  }
  for (const [key, value] of Object.entries({ text: 1, number: '1', truth: 1, nothing: 0 })) {
    const made = dataOf(stored)
    made.view[key] = value
    t.deepEqual(wanted(made), { [key]: value })
  }
})

test('JSON knows no negative zero, and refuses numbers that it does not know', (t) => {
  const { data, view } = dataOf(STORED)
  view['n'] = -0
  t.true(Object.is(wanted({ data })['n'], 0))

  for (const value of [NaN, Infinity, -Infinity]) {
    view['n'] = value
    t.throws(() => data.changes(), { code: 'ERR_SESSION_VALUE' })
  }
})

test('a codec of the app is asked about every value', (t) => {
  const codec = customCodec(devalue)
  const { data, view } = dataOf({ n: 0, text: 'a' }, codec)
  view['n'] = -0
  t.true(Object.is(wanted({ data })['n'], -0))

  const refusing = customCodec({
    stringify: (value) => {
      if (value === 'refused') throw new Error('no')
      return JSON.stringify(value)
    },
    parse: (text) => JSON.parse(text) as unknown,
  })
  const made = dataOf({ text: 'a' }, refusing)
  made.view['text'] = 'refused'
  t.throws(() => made.data.changes(), { code: 'ERR_SESSION_VALUE' })
})

test('adopted changes are pending again, over another snapshot', (t) => {
  const first = dataOf(STORED)
  first.view['n'] = 2
  delete first.view['name']
  ;(first.view['nested'] as Loose)['more'] = true
  const second = dataOf({ ...STORED, other: 1 })
  second.data.adopt(first.data.changes())

  t.deepEqual(second.view, { n: 2, nothing: null, nested: { list: [1, 2], more: true }, other: 1 })
  t.deepEqual(wanted(second), wanted(first))
})

test('what is written while the store is asked is still to come, and was seen over what is stored then', (t) => {
  const made = dataOf(STORED)
  Object.assign(made.view, { n: 2, name: 'eve' })
  const stored = made.data.changes()
  Object.assign(made.view, { n: 3, other: 1 })
  made.data.detach(applyAll(STORED, stored), stored)

  t.deepEqual(made.data.changes(), [
    { key: 'n', base: 2, value: 3 },
    { key: 'other', base: ABSENT, value: 1 },
  ])
  t.deepEqual(made.view, { ...plain(), n: 3, name: 'eve', other: 1 })
})

test('typed arrays and maps of a codec are handed out as copies, and frozen as far as that goes', (t) => {
  const codec = customCodec(devalue)
  const stored = { bytes: new Uint8Array([1, 2]), map: new Map([['a', 1]]) }
  const made = dataOf({ stored }, codec)
  const lent = made.view['stored'] as typeof stored
  lent.map.set('a', 2)
  t.deepEqual(wanted(made), { stored: { bytes: new Uint8Array([1, 2]), map: new Map([['a', 2]]) } })
  t.is(stored.map.get('a'), 1)

  made.data.freeze()
  t.throws(() => Object.assign(lent, { bytes: 1 }), { instanceOf: TypeError })
})
