import { runInNewContext } from 'node:vm'
import test from 'ava'
import * as devalue from 'devalue'
import fc from 'fast-check'
import superjson from 'superjson'
import { customCodec, jsonCodec, koaJsonCodec, type Codec } from '../src/record/codec.ts'
import { counterexample } from './support/holds.ts'

const json = jsonCodec(10_000)
const DEEPEST = 1000

class Account {
  name = 'ada'
}

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = { in: value }
  return value
}

const circle: Record<string, unknown> = {}
circle['again'] = { circle }
const holes: unknown[] = [1]
holes[2] = 3

const refused: readonly [what: string, value: unknown, path: string, reason: string][] = [
  ['a Date', new Date(0), '', 'an instance of Date'],
  ['a Map', { deep: [new Map()] }, '.deep[0]', 'an instance of Map'],
  ['a Set', new Set(), '', 'an instance of Set'],
  ['a Buffer', Buffer.from('x'), '', 'an instance of Buffer'],
  ['NaN', { a: NaN }, '.a', 'NaN'],
  ['Infinity', [Infinity], '[0]', 'Infinity'],
  ['a BigInt', { a: 1n }, '.a', 'a bigint'],
  ['a function', { toJSON: () => 1 }, '.toJSON', 'a function'],
  ['a symbol', { a: Symbol('x') }, '.a', 'a symbol'],
  ['undefined in an array', [1, undefined], '[1]', 'undefined'],
  ['undefined itself', undefined, '', 'undefined'],
  ['a hole', { list: holes }, '.list', 'an array with holes, extra properties or a class of its own'],
  [
    'an array with a property',
    Object.assign([1], { extra: true }),
    '',
    'an array with holes, extra properties or a class of its own',
  ],
  [
    'an array of a class',
    new (class List extends Array<number> {})(),
    '',
    'an array with holes, extra properties or a class of its own',
  ],
  ['a class instance', { user: new Account() }, '.user', 'an instance of Account'],
  [
    'an instance of a class without a name',
    new (class {
      a = 1
    })(),
    '',
    'an instance of a class',
  ],
  [
    'an object whose prototype has no constructor',
    Object.create(Object.create({}, { constructor: { value: undefined } }) as object),
    '',
    'an instance of a class',
  ],
  ['a boxed string', { s: Object('x') as unknown }, '.s', 'an instance of String'],
  ['a symbol for a key', { [Symbol('x')]: 1 }, '', 'an object with a symbol for a key'],
  [
    'a property that is not enumerable',
    { user: Object.defineProperty({ a: 1 }, 'b', { value: 2 }) },
    '.user',
    'an object with a property that is not enumerable',
  ],
  ['a cycle', circle, '', `nested more than ${DEEPEST} deep, or containing itself`],
  ['nesting 10,000 deep', nested(10_000), '', `nested more than ${DEEPEST} deep, or containing itself`],
]

for (const [what, value, path, reason] of refused) {
  test(`JSON refuses ${what}, naming its path`, (t) => {
    const error = t.throws(() => json.copy(value, 'session.data.key'), { code: 'ERR_SESSION_VALUE' })

    t.true(error.message.startsWith(`session.data.key${path}`), error.message)
    t.true(error.message.includes(`cannot be stored as it is (${reason}): `), error.message)
  })
}

test('what JSON keeps comes back equal from a copy, and from text', (t) => {
  const isKept = (value: unknown): boolean => {
    const copy = json.copy(value, 'session.data.key')
    return (
      json.same(value, copy) &&
      json.same(json.parse(json.stringify(copy)), copy) &&
      json.same(json.lend(copy, []), copy)
    )
  }

  t.is(counterexample(fc.property(fc.jsonValue(), isKept), 1000), undefined)
})

test('two values are the same exactly when their JSON without undefined is', (t) => {
  const few = fc.letrec((tie) => ({
    leaf: fc.constantFrom<unknown>(0, 1, 'a', null, true),
    tree: fc.oneof(
      { depthSize: 'small' },
      tie('leaf'),
      fc.array(tie('tree'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b'), tie('tree'), { maxKeys: 2 }),
    ),
  })).tree
  const agrees = (one: unknown, other: unknown): boolean =>
    json.same(one, json.copy(other, 'session.data.key')) === (JSON.stringify(one) === JSON.stringify(other))

  t.is(counterexample(fc.property(few, few, agrees), 3000), undefined)
})

test('undefined properties, null prototypes, other realms and negative zero become plain', (t) => {
  const bare = Object.assign(Object.create(null) as object, { a: 1 })

  t.deepEqual(json.copy({ a: 1, gone: undefined }, 'session.data.key'), { a: 1 })
  t.deepEqual(json.copy(bare, 'session.data.key'), { a: 1 })
  t.deepEqual(json.copy(runInNewContext('({ list: [1, { a: 2 }] })'), 'session.data.key'), { list: [1, { a: 2 }] })
  t.is(json.copy(-0, 'session.data.key'), 0)
  t.is(json.copy(null, 'session.data.key'), null)
})

test('what would be stored differently is not the same', (t) => {
  const different: [unknown, unknown][] = [
    [{ a: undefined, b: 1 }, {}],
    [{ a: 1 }, { a: 1, b: 2 }],
    [
      { b: 2, a: 1 },
      { a: 1, b: 2 },
    ],
    [Object.defineProperty({ a: 1 }, 'b', { value: 2 }), { a: 1 }],
    [{ toString: 1 }, { a: 1 }],
    [[1], { 0: 1 }],
    [{ 0: 1 }, [1]],
    [holes, [1, 2, 3]],
    [new Account(), { name: 'ada' }],
    [{ [Symbol('x')]: 1, a: 1 }, { a: 1 }],
    [[1, 2], [1]],
    [null, {}],
    [1, { a: 1 }],
  ]
  for (const [value, stored] of different) t.false(json.same(value, stored), JSON.stringify(stored))

  t.true(json.same({ a: 1, gone: undefined }, { a: 1 }))
})

test('nesting a thousand deep is stored and read', (t) => {
  const deep = nested(DEEPEST)
  const copy = json.copy(deep, 'session.data.key')

  t.true(json.same(json.parse(json.stringify(copy)), copy))
  t.throws(() => json.copy(nested(DEEPEST + 1), 'session.data.key'), { code: 'ERR_SESSION_VALUE' })
})

test('shared parts that multiply without end are too large, and refused soon', (t) => {
  let value: unknown = ['leaf']
  for (let level = 0; level < 50; level++) value = [value, value]

  t.throws(() => json.copy({ list: value }, 'session.data.key'), {
    code: 'ERR_SESSION_TOO_LARGE',
    message: /session\.data\.key has more parts than options\.maxBytes/,
  })
})

test('a stack that is nearly used up is told as nesting', (t) => {
  const deep = nested(DEEPEST - 1)
  // Fills the stack, then tries on the way back, where there is a little room at first.
  const fill = (): unknown => {
    let thrown: unknown
    try {
      thrown = fill()
    } catch {
      // full
    }
    if (thrown !== undefined) return thrown
    try {
      return json.copy(deep, 'session.data.key')
    } catch (error) {
      return error instanceof RangeError ? undefined : error
    }
  }
  const error = fill()

  t.like(error, { code: 'ERR_SESSION_VALUE' })
  t.regex((error as Error).message, /nested too deeply for the stack that is left/)
})

test('a getter that throws is the error of the app', (t) => {
  t.throws(
    () =>
      json.copy(
        {
          get a() {
            throw new Error('mine')
          },
        },
        'session.data.key',
      ),
    { message: 'mine' },
  )
})

test('a lent copy shares nothing with what is stored, and all its objects are known', (t) => {
  const stored = { list: [{ a: 1 }, [2]], own: 'text' }
  const made: object[] = []
  const copy = json.lend(stored, made) as typeof stored

  t.deepEqual(copy, stored)
  t.not(copy.list, stored.list)
  t.not(copy.list[0], stored.list[0])
  t.is(made.length, 4)
})

const everything = {
  when: new Date(5),
  map: new Map([['a', { b: 1 }]]),
  set: new Set([1]),
  big: 12n,
  nan: NaN,
  nothing: undefined,
  list: [undefined, -0],
}

for (const [name, codec] of [
  ['devalue', customCodec(devalue)],
  ['superjson', customCodec(superjson)],
] as const) {
  test(`${name} keeps Date, Map, Set, BigInt, NaN and undefined`, (t) => {
    const copy = codec.copy(everything, 'session.data.key')

    t.deepEqual(copy, everything)
    t.true(codec.same(everything, codec.parse(codec.stringify(copy))))
    t.false(codec.same({ ...everything, big: 13n }, copy))
  })

  test(`${name} lends copies whose objects are all known, and passes on what is no object`, (t) => {
    const made: object[] = []
    const stored = { a: { b: [1] } }
    const copy = codec.lend(stored, made)

    t.deepEqual(copy, stored)
    t.is(made.length, 3)
    t.true(made.includes(copy as object))
    t.is(codec.lend('text', made), 'text')
    t.is(codec.lend(null, made), null)
  })
}

test('what devalue refuses is told with the path that it names', (t) => {
  const error = t.throws(() => customCodec(devalue).copy({ deep: { fn: () => 1 } }, 'session.data.key'), {
    code: 'ERR_SESSION_VALUE',
  })

  t.true(
    error.message.startsWith('session.data.key.deep.fn cannot be stored as it is (refused by options.codec): '),
    error.message,
  )
  t.true(error.cause instanceof Error)
})

test('what superjson would change is refused', (t) => {
  t.throws(() => customCodec(superjson).copy({ account: new Account() }, 'session.data.key'), {
    code: 'ERR_SESSION_VALUE',
    message: /^session\.data\.key cannot be stored as it is \(changed by options\.codec\): /,
  })
})

test('a codec that throws something else than an error is told all the same', (t) => {
  const codec = customCodec({
    stringify: () => {
      throw 'no' as unknown as Error
    },
    parse: JSON.parse,
  })

  t.throws(() => codec.copy({}, 'session.data.key'), {
    code: 'ERR_SESSION_VALUE',
    message: /^session\.data\.key cannot .+refused by options\.codec/,
  })
})

test('a codec may keep a cycle, and lends it', (t) => {
  const made: object[] = []
  const codec = customCodec(devalue)

  t.deepEqual(codec.lend(codec.copy(circle, 'session.data.key'), made), circle)
  t.is(made.length, 2)
})

test('nesting that overflows the stack of a codec is refused by its place, however deep it is', (t) => {
  for (let depth = 1000; depth <= 10_000; depth += 250) {
    try {
      customCodec(devalue).copy(nested(depth), 'session.data.key')
    } catch (error) {
      t.like(error, { code: 'ERR_SESSION_VALUE' }, String(depth))
    }
  }
})

test('a list of more values than maxBytes could hold is refused before it is copied', (t) => {
  t.throws(() => jsonCodec(1000).copy(new Array(1001).fill(1), 'session.data', 'list'), {
    code: 'ERR_SESSION_TOO_LARGE',
  })
  t.notThrows(() => jsonCodec(1000).copy(new Array(999).fill(1), 'session.data', 'list'))
})

test('the name of a key cannot break a line of a log', (t) => {
  const error = t.throws(() => json.copy({ 'a\r\nFAKE\u001b[31m\u2028': NaN }, 'session.data', 'x\ny'))

  t.true(error.message.startsWith('session.data.x\\u000ay.a\\u000d\\u000aFAKE\\u001b[31m\\u2028 cannot'), error.message)
})

// ---- koa-session's values

const koa = koaJsonCodec(10_000)

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

// ---- text

for (const [name, codec] of [
  ['JSON', json],
  ["koa-session's JSON", koa],
] as const) {
  test(`${name} writes data in parts to the text that it would write whole, again and again`, (t) => {
    const long = fc.array(fc.string({ minLength: 200, maxLength: 300 }), { minLength: 2, maxLength: 4 })
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
      return 'x'.repeat(600)
    },
  }
  for (let n = 0; n < 5; n++) json.stringifyContents({ value, n }, [])

  t.is(asked, 1)
})

// ---- equality of an own codec

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
