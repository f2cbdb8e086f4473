import * as devalue from 'devalue'
import test from 'ava'
import fc from 'fast-check'
import { customCodec, jsonCodec } from '../../src/record/codec.ts'
import { publicIdOf } from '../../src/cookie/id.ts'
import type { BoundTo, EncryptionKeys, EncryptionSettings } from '../../src/record/encryption.ts'
import { Payload, type Contents } from '../../src/record/payload.ts'
import { CorruptRecord, type SessionRecord } from '../../src/store.ts'
import { counterexample } from '../support/holds.ts'

const BOUND: BoundTo = { key: 'the key of the record', owner: 'ada', meta: '{"a":5}', createdAt: 7 }
const CONTENTS: Contents = {
  data: { name: 'ada', n: 1 },
  flash: [['tagtagta', 'info', { text: 'hello' }]],
  device: { address: '::1' },
}
const NEWEST = 'the newest encryption secret'
const OLDER = Buffer.from('an older encryption secret')

const encryption = (keys: EncryptionKeys, more: Partial<EncryptionSettings> = {}): EncryptionSettings => ({
  keys,
  encrypt: true,
  acceptPlain: false,
  onUnknownKey: 'fail',
  ...more,
})
const clear = (maxBytes = 65_536): Payload => new Payload(jsonCodec(maxBytes), maxBytes, undefined)
const locked = (...secrets: (string | Uint8Array)[]): Payload =>
  new Payload(jsonCodec(65_536), 65_536, encryption(secrets))

function record(payload: string | Uint8Array, bound: BoundTo = BOUND): SessionRecord {
  return { version: 1, lastSeenAt: 0, expiresAt: 1, ...bound, payload }
}

const corrupt = (message: string) => ({ instanceOf: CorruptRecord, message })

test('data alone is stored as its own text, and flash beside it', (t) => {
  t.is(clear().encode({ data: { a: 1 }, flash: [], device: undefined }, BOUND), '{"a":1}')
  t.is(
    clear().encode({ data: { a: 1 }, flash: [['tag', 'k', 2]], device: undefined }, BOUND),
    '[{"a":1},[["tag","k",2]]]',
  )
})

for (const [how, payload] of [
  ['in the clear', clear()],
  ['encrypted', locked(NEWEST)],
] as const) {
  test(`what is sealed ${how} comes back`, (t) => {
    const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true })
    const flash = fc.array(fc.tuple(fc.string(), fc.string(), fc.jsonValue()))
    const comesBack = (data: Record<string, unknown>, flash: [string, string, unknown][]): boolean => {
      const opened = payload.decode(record(payload.encode({ data, flash, device: undefined }, BOUND)))
      return JSON.stringify([opened.data, opened.flash]) === JSON.stringify([data, flash])
    }

    t.is(counterexample(fc.property(object, flash, comesBack)), undefined)
  })
}

test('a session of exactly maxBytes bytes of UTF-8 is stored, one byte more is too large', (t) => {
  for (const letter of ['a', 'é', '€', '😀']) {
    const data = { text: letter.repeat(50) }
    const bytes = Buffer.byteLength(JSON.stringify(data))

    t.is(clear(bytes).encode({ data, flash: [], device: undefined }, BOUND), JSON.stringify(data))
    t.throws(() => clear(bytes - 1).encode({ data, flash: [], device: undefined }, BOUND), {
      code: 'ERR_SESSION_TOO_LARGE',
      message: `the session would take ${bytes} bytes, options.maxBytes allows ${bytes - 1}: store less, or a reference to it`,
    })
  }
})

test('encryption does not count towards maxBytes', (t) => {
  const payload = new Payload(jsonCodec(7), 7, encryption([NEWEST]))

  t.deepEqual(payload.decode(record(payload.encode({ data: { a: 1 }, flash: [], device: undefined }, BOUND))).data, {
    a: 1,
  })
})

test('an encrypted payload shows nothing of the text, and is another one each time', (t) => {
  const payload = locked(NEWEST)
  const [one, other] = [payload.encode(CONTENTS, BOUND), payload.encode(CONTENTS, BOUND)] as [Uint8Array, Uint8Array]

  t.false(Buffer.from(one).includes('ada'))
  t.notDeepEqual(one, other)
})

test('an older key opens, the newest seals', (t) => {
  const old = locked(OLDER).encode(CONTENTS, BOUND)
  const both = locked(NEWEST, OLDER)

  t.deepEqual(both.decode(record(old)), CONTENTS)
  t.deepEqual(locked(NEWEST).decode(record(both.encode(CONTENTS, BOUND))), CONTENTS)
})

for (const [field, value] of [
  ['key', 'another key'],
  ['owner', 'eve'],
  ['owner', undefined],
  ['meta', '{"a":6}'],
  ['meta', undefined],
  ['createdAt', 8],
] as const) {
  test(`a payload moved under ${field} ${String(value)} fails authentication`, (t) => {
    const payload = locked(NEWEST)
    const sealed = payload.encode(CONTENTS, BOUND)

    t.throws(() => payload.decode(record(sealed, { ...BOUND, [field]: value })), corrupt('fails authentication'))
  })
}

test('every byte of an encrypted payload counts, and every one cut off', (t) => {
  const payload = locked(NEWEST)
  const sealed = payload.encode(CONTENTS, BOUND) as Uint8Array
  const opens = (bytes: Uint8Array): boolean => {
    try {
      payload.decode(record(bytes))
      return true
    } catch (error) {
      return !(error instanceof CorruptRecord || (error as { code?: string }).code === 'ERR_SESSION_STORE')
    }
  }

  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 1 : byte))
    t.false(opens(changed), `byte ${at}`)
    t.false(opens(sealed.subarray(0, at)), `cut at ${at}`)
  }
})

test('a payload that names an unknown key is locked: an outage, not a corrupt session', (t) => {
  const sealed = record(locked(OLDER).encode(CONTENTS, BOUND))

  for (const payload of [locked(NEWEST), clear()]) {
    t.true(payload.isLocked(sealed))
    t.throws(() => payload.decode(sealed), { code: 'ERR_SESSION_STORE', message: /options\.encryptionKeys/ })
  }
  t.false(locked(NEWEST, OLDER).isLocked(sealed))
})

test('plain text where encryption is on was not written by us', (t) => {
  t.throws(() => locked(NEWEST).decode(record('{"a":1}')), corrupt('not encrypted'))
})

test('bytes of no known format are corrupt', (t) => {
  for (const bytes of [new Uint8Array(0), Uint8Array.of(1, 2), Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9, 9)]) {
    t.throws(() => clear().decode(record(bytes)), corrupt('of no known format'))
    t.throws(() => locked(NEWEST).decode(record(bytes)), corrupt('of no known format'))
  }
})

test('a payload that ends behind the name of its key is cut off', (t) => {
  const payload = locked(NEWEST)
  const sealed = payload.encode(CONTENTS, BOUND) as Uint8Array

  t.throws(() => payload.decode(record(sealed.subarray(0, 20))), corrupt('cut off'))
})

for (const text of ['{', 'nonsense', '']) {
  test(`text ${JSON.stringify(text)} is refused by the codec`, (t) => {
    const error = t.throws(() => clear().decode(record(text)), corrupt('the codec refuses it'))

    t.true(error.cause instanceof SyntaxError)
  })
}

for (const text of ['null', '5', '"text"', '[]', '[[],[]]', '[null,[]]', '[5,[]]']) {
  test(`text ${text} holds no data`, (t) => {
    t.throws(() => clear().decode(record(text)), corrupt('data is no object'))
  })
}

for (const text of [
  '[{}]',
  '[{},5]',
  '[{},[1]]',
  '[{},[["tag","k"]]]',
  '[{},[[1,"k",2]]]',
  '[{},[["tag",1,2]]]',
  '[{},[["tag","k",2,3]]]',
]) {
  test(`text ${text} holds no flash messages`, (t) => {
    t.throws(() => clear().decode(record(text)), corrupt('flash is no list of messages'))
  })
}

test('a payload larger than anything that was stored is not parsed', (t) => {
  const huge = `{"a":"${'a'.repeat(4 * 1_048_576)}"}`

  t.throws(() => clear().decode(record(huge)), corrupt('larger than any session that was stored'))
  t.is((clear(huge.length).decode(record(huge)).data['a'] as string).length, 4 * 1_048_576)
})

test('a payload nested deeper than anything that was stored is corrupt, one nested as deep as allowed is not', (t) => {
  const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

  t.throws(() => clear().decode(record(deep(5000))), corrupt('the codec refuses it'))
  t.notThrows(() => clear().decode(record(deep(1001))))
  t.notThrows(() => clear().decode(record(`{"a":[${'[],'.repeat(5000)}1]}`)))
})

test('a cycle that the codec keeps is no corruption: session data that was stored can be read', (t) => {
  const payload = new Payload(customCodec(devalue), 65_536, undefined)
  const loop: Record<string, unknown> = { text: 'a'.repeat(3000) }
  loop['self'] = loop

  t.notThrows(() =>
    payload.decode(
      record(
        payload.encode(
          { data: { loop: payload.codec.copy(loop, 'session.data.loop') }, flash: [], device: undefined },
          BOUND,
        ),
      ),
    ),
  )
})

test('what was read from a frozen record is remembered by it, from one that may change it is not', (t) => {
  const payload = clear()
  const [frozen, loose] = [Object.freeze(record('{"a":1}')), record('{"a":1}')]

  t.is(payload.decode(frozen), payload.decode(frozen))
  t.not(payload.decode(loose), payload.decode(loose))
})

test('what was just written need not be parsed', (t) => {
  const payload = clear()
  const written = Object.freeze(record('never parsed'))
  payload.remember(written, CONTENTS)

  t.is(payload.decode(written), CONTENTS)
})

test('the newest version that was written here is known, until the store says otherwise', (t) => {
  const payload = clear()
  const [older, newer] = [1, 2].map((version) => Object.freeze({ ...record('{"a":1}'), version })) as [
    SessionRecord,
    SessionRecord,
  ]
  payload.remember(newer, { data: { a: 1 }, flash: [], device: undefined })

  t.is(payload.newestKnown(older), newer)
  t.is(payload.newestKnown(newer), undefined)
  t.is(payload.newestKnown({ ...older, key: 'another key' }), undefined)
  for (const read of [older, { ...older }]) {
    payload.remember(newer, { data: { a: 1 }, flash: [], device: undefined })
    payload.decode(read)
    t.is(payload.newestKnown(older), undefined)
  }
})

test('what is remembered stays bounded: after megabytes of others a record is parsed again', (t) => {
  const payload = clear()
  const first = Object.freeze(record('{"a":1}'))
  const contents = payload.decode(first)
  for (let other = 0; other < 20; other++)
    payload.remember(
      Object.freeze(record('a'.repeat(1_048_576), { ...BOUND, key: publicIdOf(`other ${other}`) })),
      CONTENTS,
    )

  t.not(payload.decode(first), contents)
})
