// With koaSession data is what JSON.stringify makes of it, as koa-session's is.
import test from 'ava'
import fc from 'fast-check'
import { koaJsonCodec } from '../../src/record/codec.ts'
import { counterexample } from '../support/holds.ts'

const koa = koaJsonCodec(10_000)

const circle: Record<string, unknown> = {}
circle['again'] = { circle }
const holes: unknown[] = [1]
holes[2] = 3

class Row {
  id: number
  constructor(id: number) {
    this.id = id
  }
}
class ObjectId {
  readonly #hex = '0123'
  toJSON(): string {
    return this.#hex
  }
}

const asKoaSession: readonly [what: string, value: unknown, stored: unknown][] = [
  ['a Date', { at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
  ['an invalid Date', [new Date(NaN)], [null]],
  ['a row of a database driver', { user: new Row(1) }, { user: { id: 1 } }],
  ['an ObjectId', { user: new ObjectId() }, { user: '0123' }],
  ['undefined, functions and symbols', { a: undefined, b: () => 1, c: Symbol('x') }, {}],
  ['undefined, functions and symbols in a list', [undefined, () => 1, Symbol('x')], [null, null, null]],
  ['numbers that JSON does not have', [NaN, Infinity, -0], [null, null, 0]],
  ['holes', holes, [1, null, 3]],
  ['a list with a property', Object.assign([1], { extra: 1 }), [1]],
  ['boxed primitives', [Object('x'), Object(1), Object(false)], ['x', 1, false]],
  ['Map and Set', [new Map([[1, 2]]), new Set([1])], [{}, {}]],
  ['a Buffer', Buffer.from('a'), { type: 'Buffer', data: [97] }],
  ['hidden and symbol properties', Object.defineProperty({ a: 1, [Symbol('x')]: 1 }, 'b', { value: 2 }), { a: 1 }],
]

for (const [what, value, stored] of asKoaSession) {
  test(`with koaSession ${what} is stored as JSON.stringify writes it`, (t) => {
    t.deepEqual(koa.copy(value, 'session.data', 'key'), stored)
    t.deepEqual(JSON.parse(JSON.stringify(value)), stored)
    t.true(koa.same(value, stored))
    t.false(koa.same(value, [stored]))
  })
}

test('with koaSession a value that JSON leaves out of data is left out, and in a list null', (t) => {
  for (const value of [undefined, () => 1, Symbol('x'), { toJSON: () => undefined }]) {
    t.is(koa.copy(value, 'session.data', 'key'), undefined)
    t.is(koa.copy(value, 'session.flash("key")'), null)
  }
  t.true(koa.same(NaN, null))
})

test('with koaSession any value becomes what JSON.stringify makes of it', (t) => {
  const anything = fc.anything({
    withDate: true,
    withMap: true,
    withSet: true,
    withBoxedValues: true,
    withTypedArray: true,
    withSparseArray: true,
    withNullPrototype: true,
  })
  const agrees = (value: unknown): boolean => {
    const text: string | undefined = JSON.stringify({ value })
    const { value: expected } = JSON.parse(text) as { value?: unknown }
    const kept = koa.copy(value, 'session.data', 'value')
    return JSON.stringify(kept) === JSON.stringify(expected) && (kept === undefined || koa.same(value, expected))
  }

  t.is(counterexample(fc.property(anything, agrees), 2000), undefined)
})

test('toJSON is told the key, as by JSON.stringify', (t) => {
  const told: unknown[] = []
  const spy = { toJSON: (key: unknown) => (told.push(key), 1) }
  koa.copy({ a: spy, list: [spy] }, 'session.data', 'value')
  koa.copy(spy, 'session.data', 'value')

  t.deepEqual(told, ['a', '0', 'value'])
})

for (const [what, value, path] of [
  ['a cycle', { deep: circle }, 'session.data.key.deep'],
  ['a BigInt', { deep: [1n] }, 'session.data.key.deep[0] cannot be stored as it is (a bigint)'],
  [
    'toJSON without end',
    {
      a: new (class Endless {
        toJSON() {
          return { a: new Endless() }
        }
      })(),
    },
    'session.data.key.a.a',
  ],
] as const) {
  test(`with koaSession ${what} is refused, naming its path`, (t) => {
    const error = t.throws(() => koa.copy(value, 'session.data', 'key'), { code: 'ERR_SESSION_VALUE' })

    t.true(error.message.startsWith(path), error.message)
    t.false(koa.same(value, {}))
  })
}

test('with koaSession a list of holes is refused before it becomes a list of nulls', (t) => {
  t.throws(() => koa.copy(new Array(4_000_000_000), 'session.data', 'key'), { code: 'ERR_SESSION_TOO_LARGE' })
})

const { rawJSON } = JSON as { rawJSON?: (text: string) => object }

// Node 20 has none.
if (rawJSON !== undefined)
  test('what JSON.rawJSON made is stored as JSON.stringify writes it', (t) => {
    const value = { n: rawJSON('123'), list: [rawJSON('"a"')] }

    t.deepEqual(koaJsonCodec(1000).copy(value, 'session.data', 'key'), JSON.parse(JSON.stringify(value)))
  })
