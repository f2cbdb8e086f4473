// What the text of a codec decides: how data is written, and what counts as equal.
import test from 'ava'
import * as devalue from 'devalue'
import fc from 'fast-check'
import superjson from 'superjson'
import { customCodec, jsonCodec, koaJsonCodec, type Codec } from '../../src/record/codec.ts'
import { counterexample } from '../support/holds.ts'

const json = jsonCodec(10_000)

for (const [name, codec] of [
  ['JSON', json],
  ["koa-session's JSON", koaJsonCodec(10_000)],
] as const) {
  test(`${name} writes data in parts to the text that it would write whole, again and again`, (t) => {
    const long = fc.array(fc.string({ minLength: 900, maxLength: 999 }), { minLength: 2, maxLength: 6 })
    const key = fc.oneof(fc.constantFrom('__proto__', 'toJSON', '', '7', '\u2028', '\ud800'), fc.string())
    const data = fc.dictionary(key, fc.oneof(fc.jsonValue(), long), { noNullPrototype: true })
    const agrees = (one: Record<string, unknown>, flash: unknown[]): boolean => {
      for (const beside of [[], [flash], [flash, { device: 1 }]]) {
        const whole = JSON.stringify(beside.length === 0 ? one : [one, ...beside])
        if (codec.stringifyContents(one, beside) !== whole) return false
        if (codec.stringifyContents({ ...one, n: 1 }, []) !== JSON.stringify({ ...one, n: 1 })) return false
      }
      return true
    }

    t.is(counterexample(fc.property(data, fc.array(fc.jsonValue()), agrees), 500), undefined)
  })
}

test('a long value that stays the same is not written anew', (t) => {
  let asked = 0
  const value = {
    get a() {
      asked++
      return 'x'.repeat(5000)
    },
  }
  for (let n = 0; n < 9; n++) json.stringifyContents({ value, n }, [])

  t.is(asked, 2)
})

class Money {
  readonly #cents: number
  constructor(cents: number) {
    this.#cents = cents
  }
  get cents(): number {
    return this.#cents
  }
}
const money = customCodec({
  stringify: (value) => devalue.stringify(value, { Money: (one) => one instanceof Money && [one.cents] }),
  parse: (text): unknown => devalue.parse(text, { Money: ([cents]: [number]) => new Money(cents) }),
})

const shared = { n: 1 }
const differing: readonly [what: string, codec: Codec, one: unknown, other: unknown][] = [
  ['a URL', customCodec(devalue), new URL('https://a.example/'), new URL('https://b.example/')],
  [
    'a Map in the order of use',
    customCodec(superjson),
    new Map([
      [1, 1],
      [2, 2],
    ]),
    new Map([
      [2, 2],
      [1, 1],
    ]),
  ],
  ['a Set in the order of use', customCodec(devalue), new Set([1, 2]), new Set([2, 1])],
  ['a class with private fields', money, new Money(1), new Money(2)],
  ['a negative zero', customCodec(devalue), { a: 0 }, { a: -0 }],
  ['a shared reference', customCodec(devalue), { a: { n: 1 }, b: { n: 1 } }, { a: shared, b: shared }],
  ['a string beside a number', customCodec(devalue), 1, '1'],
]

for (const [what, codec, one, other] of differing) {
  test(`with a codec of the app's own ${what} is equal when its text is`, (t) => {
    const stored = codec.copy(one, 'session.data', 'key')

    t.true(codec.same(one, stored))
    t.true(codec.same(codec.lend(stored, []), stored))
    t.false(codec.same(other, stored))
    t.true(codec.same(other, codec.copy(other, 'session.data', 'key')))
  })
}

test('a Map, Set or Date that is changed in place is another value', (t) => {
  const codec = customCodec(devalue)
  const stored = codec.copy({ map: new Map([[1, 1]]), set: new Set([1]), when: new Date(1) }, 'session.data', 'key')
  for (const change of [
    (lent: { map: Map<number, number> }) => lent.map.set(1, 2),
    (lent: { set: Set<number> }) => lent.set.add(2),
    (lent: { when: Date }) => lent.when.setTime(2),
  ]) {
    const lent = codec.lend(stored, []) as { map: Map<number, number>; set: Set<number>; when: Date }
    t.true(codec.same(lent, stored))
    change(lent)
    t.false(codec.same(lent, stored))
  }
})

test('a value that an own codec refuses is not the same, and copying it says why', (t) => {
  t.false(customCodec(devalue).same({ fn: () => 1 }, {}))
})

test('the objects inside a Map and a Set are known, at any depth', (t) => {
  let deep: unknown = 1
  for (let level = 0; level < 400; level++) deep = new Map([['in', new Set([deep])]])
  const made: object[] = []
  customCodec(devalue).lend(deep, made)

  t.is(made.length, 800)
})
