import { runInNewContext } from 'node:vm'
import test from 'ava'
import * as devalue from 'devalue'
import fc from 'fast-check'
import superjson from 'superjson'
import { customCodec, jsonCodec } from '../../src/record/codec.ts'
import { counterexample } from '../support/holds.ts'

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
  const error = t.throws(() => json.copy({ 'a\r\nFAKE\u001b[31m\u202e\u061c': NaN }, 'session.data', 'x\ny'))

  t.true(
    error.message.startsWith('session.data.x\\u000ay.a\\u000d\\u000aFAKE\\u001b[31m\\u202e\\u061c cannot'),
    error.message,
  )
})
