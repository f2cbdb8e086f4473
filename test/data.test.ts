import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import test from 'ava'
import * as devalue from 'devalue'
import fc from 'fast-check'
import { ABSENT, type Changes, type Snapshot } from '../src/record/merge.ts'
import { customCodec, jsonCodec, type Codec } from '../src/record/codec.ts'
import { Data, type AccessCheck } from '../src/session/data.ts'
import { counterexample } from './support/holds.ts'

type Loose = Record<string, unknown>

const OPEN: AccessCheck = { readable: () => undefined, writable: () => undefined }
const json = jsonCodec(1000)

/** Data over a snapshot, and the object that a handler would hold. */
function dataOf(snapshot: Snapshot, codec: Codec = json, access = OPEN): { data: Data; view: Loose } {
  const data = new Data(snapshot, codec, access)
  return { data, view: data.proxy as Loose }
}

/** A snapshot with changes made: what the next request would find. */
function applyAll(snapshot: Snapshot, changes: Changes): Snapshot {
  const next = Object.fromEntries(Object.entries(snapshot))
  for (const { key, value } of changes) {
    if (value === ABSENT) Reflect.deleteProperty(next, key)
    else Object.defineProperty(next, key, { value, writable: true, enumerable: true, configurable: true })
  }
  return next
}

/** Changes without what was seen: deleted keys are `ABSENT`. */
const wantedBy = (changes: Changes): Loose => Object.fromEntries(changes.map(({ key, value }) => [key, value]))
const wanted = ({ data }: { data: Data }): Loose => wantedBy(data.changes())

const STORED: Snapshot = Object.freeze({
  n: 1,
  name: 'ada',
  nested: Object.freeze({ list: Object.freeze([1, 2]) }),
  nothing: null,
})
const plain = (): Loose => JSON.parse(JSON.stringify(STORED)) as Loose

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
  t.false(dataOf(STORED).data.isTouched)
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
  const { view } = dataOf({ secret: 'hunter2' }, json, { ...OPEN, visit: 'an id' } as AccessCheck)

  t.false(inspect(view, { customInspect: false, showHidden: true, showProxy: true, depth: 9 }).includes('hunter2'))
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

/** Writes as strict code does; what is thrown, or `undefined`. */
const thrownBy = (write: () => unknown): unknown => {
  try {
    return void write()
  } catch (error) {
    return error
  }
}

const putBack: Readonly<Record<string, (data: Data, view: Loose) => void>> = {
  'left alone': () => undefined,
  'spread into new data': (data, view) => data.replaceAll({ ...view, step: 2 }),
  'replaced by themselves': (data, view) => data.replaceAll(view),
  'assigned one by one': (_data, view) => Object.assign(view, { ...view }),
  'kept under another name': (_data, view) => {
    view['basket'] = view['cart']
    delete view['cart']
  },
  "kept in an object of the app's own": (_data, view) => (view['order'] = { items: [view['cart']] }),
}

for (const [how, put] of Object.entries(putBack)) {
  const held = (): { data: Data; cart: { items: string[] } } => {
    const { data, view } = dataOf({ cart: { items: ['book'] } })
    const cart = view['cart'] as { items: string[] }
    put(data, view)
    return { data, cart }
  }

  test(`objects that data handed out are read-only after the commit: ${how}`, (t) => {
    const { data, cart } = held()
    t.is(cart.items.push('pen'), 2)
    data.freeze()

    t.true(thrownBy(() => cart.items.push('late')) instanceof TypeError)
    t.true(thrownBy(() => Object.assign(cart, { late: 1 })) instanceof TypeError)
  })

  test(`objects that data handed out are read-only after a reload: ${how}`, (t) => {
    const { data, cart } = held()
    data.reset({ cart: { items: [] } })

    t.true(thrownBy(() => cart.items.push('late')) instanceof TypeError)
  })

  test(`a write to objects that data handed out is stored or throws after an update: ${how}`, (t) => {
    const { data, cart } = held()
    const changes = data.changes()
    data.detach({ ...applyAll({ cart: { items: ['book'] } }, changes) }, changes)

    const isRefused = thrownBy(() => cart.items.push('late')) instanceof TypeError
    t.is(JSON.stringify(data.changes()).includes('late'), !isRefused)
  })
}

test('objects of one key that were detached stay so when another key keeps its object', (t) => {
  const snapshot = { one: { n: [1] }, two: { n: [2] } }
  const { data, view } = dataOf(snapshot)
  const { one, two } = view as typeof snapshot
  two.n.push(3)
  const wantedFirst = data.changes()
  two.n.push(4)
  data.detach(applyAll(snapshot, wantedFirst), wantedFirst)

  t.true(thrownBy(() => one.n.push(5)) instanceof TypeError)
  t.is(two.n.push(6), 4)
  t.deepEqual(wanted({ data }), { two: { n: [2, 3, 4, 6] } })
})

test('a map, a set and a date of a codec are read-only after the commit, inside one another too', (t) => {
  const { data, view } = dataOf(
    { all: { map: new Map([['in', new Set([1])]]), when: new Date(0) } },
    customCodec(devalue),
  )
  const { map, when } = view['all'] as { map: Map<string, Set<number>>; when: Date }
  const set = map.get('in')
  map.set('other', new Set())
  data.freeze()

  for (const write of [() => map.set('x', new Set()), () => map.clear(), () => set?.add(2), () => when.setTime(1)])
    t.true(thrownBy(write) instanceof TypeError)
  t.deepEqual([...map.keys(), when.getTime(), set?.size], ['in', 'other', 0, 1])
})

test('a key that this request and another one added is listed once', (t) => {
  for (const move of [
    (data: Data) => data.settle({ theme: 'dark', n: 1 }, []),
    (data: Data) => data.detach({ theme: 'dark', n: 1 }, []),
  ]) {
    const { data, view } = dataOf({ n: 1 })
    Object.assign(view, { theme: 'light', z: 1 })
    move(data)

    t.deepEqual(Object.keys(view), ['theme', 'n', 'z'])
    t.is(JSON.stringify(view), '{"theme":"light","n":1,"z":1}')
    t.deepEqual({ ...view }, { theme: 'light', n: 1, z: 1 })
  }
})

test('keys are listed in the order in which the next request will find them: stored ones, then new ones, indexes first', (t) => {
  const snapshot = { b: 1, 7: 1, a: 1 }
  const { data, view } = dataOf(snapshot)
  Object.assign(view, { z: 1, 3: 1 })
  delete view['b']
  view['b'] = 2

  t.deepEqual(Object.keys(view), ['3', '7', 'b', 'a', 'z'])
  t.deepEqual(Object.keys(applyAll(snapshot, data.changes())), Object.keys(view))
})

test('while an update runs, data shows what it works on, and afterwards its own again', (t) => {
  let active: Data | undefined
  let writes = 0
  const { data, view } = dataOf(STORED, json, { ...OPEN, active: () => active })
  const working = new Data({ n: 5 }, json, { readable: () => undefined, writable: () => void writes++ })
  active = working
  view['more'] = 1
  delete view['n']
  Object.defineProperty(view, 'defined', { value: 1, writable: true, enumerable: true, configurable: true })

  t.deepEqual({ ...view }, { more: 1, defined: 1 })
  t.is(writes, 3)
  t.false('n' in view)
  active = undefined
  t.deepEqual({ ...view }, plain())
  t.false(data.isTouched && data.changes().length > 0)
  t.deepEqual(wanted({ data: working }), { n: ABSENT, more: 1, defined: 1 })
})

test('each write asks once whether it may', (t) => {
  let asked = 0
  const { data, view } = dataOf(STORED, json, { ...OPEN, writable: () => void asked++ })
  view['n'] = 2
  delete view['n']
  Object.defineProperty(view, 'm', { value: 1, writable: true, enumerable: true, configurable: true })
  data.replaceAll({ many: 1, keys: 2 })

  t.is(asked, 4)
})

test('an object that inherits from data keeps its own properties itself, and heeds those that are fixed', (t) => {
  const { data, view } = dataOf(STORED)
  const child = Object.create(view) as Loose
  child['n'] = 5
  Object.defineProperty(child, 'fixed', { value: 1 })

  t.is(child['n'], 5)
  t.is(child['name'], 'ada')
  t.false(Reflect.set(child, 'fixed', 2))
  t.is(data.changes().length, 0)
})
