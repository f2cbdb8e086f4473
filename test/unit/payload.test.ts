import { inspect } from 'node:util'
import * as devalue from 'devalue'
import test from 'ava'
import fc from 'fast-check'
import superjson from 'superjson'
import { customCodec, jsonCodec, type SessionCodec } from '../../src/record/codec.ts'
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

for (const text of ['{', 'nonsense', '']) {
  test(`text ${JSON.stringify(text)} is refused by the codec`, (t) => {
    const error = t.throws(() => clear().decode(record(text)), corrupt('the codec refuses it'))

    t.true(error.cause instanceof SyntaxError)
  })
}

for (const text of ['null', '5', '"text"', '[null,[["tag","k",1]]]', '[[],[["tag","k",1]]]', '[5,[],{"device":{}}]']) {
  test(`text ${text} holds no data`, (t) => {
    t.throws(() => clear().decode(record(text)), corrupt('data is no object'))
  })
}

for (const text of ['[{},[],5]', '[{},[],{}]', '[{},[],{"device":5}]', '[{},[],{"device":[]}]', '[{},[],null]']) {
  test(`text ${text} holds no facts of a device`, (t) => {
    t.throws(() => clear().decode(record(text)), corrupt('device is no object'))
  })
}

for (const text of [
  '[]',
  '[{}]',
  '[{},[],{"device":{}},1]',
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

test('text of a codec that encryption would change is refused, and kept where nothing is encrypted', (t) => {
  const raw: SessionCodec = {
    stringify: (value) =>
      JSON.stringify(value).replace(/\\u(d[89a-f]..)/g, (_, unit: string) => String.fromCharCode(parseInt(unit, 16))),
    parse: (text) => JSON.parse(text) as unknown,
  }
  const make = (settings?: EncryptionSettings) => new Payload(customCodec(raw), 65_536, settings)
  const contents = { data: { text: 'a\ud800b' }, flash: [], device: undefined }
  const pairs = { ...contents, data: { text: '😀' } }

  t.throws(() => make(encryption([NEWEST])).encode(contents, BOUND), { code: 'ERR_SESSION_VALUE' })
  t.deepEqual(make().decode(record(make().encode(contents, BOUND))), contents)
  for (const settings of [undefined, encryption([NEWEST])])
    t.deepEqual(make(settings).decode(record(make(settings).encode(pairs, BOUND))), pairs)
})

test('a payload nested deeper than anything that was stored is corrupt, one nested as deep as allowed is not', (t) => {
  const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

  t.throws(() => clear().decode(record(deep(5000))), corrupt('the codec refuses it'))
  t.throws(() => clear().decode(record(deep(1004))), corrupt('the codec refuses it'))
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

test('data alone, with flash, and with facts of a device come back, in the form that 0.1 reads', (t) => {
  const flash: Contents['flash'] = [['tag', 'k', 2]]
  const device = { address: '::1' }
  const forms: readonly [Contents, string][] = [
    [{ data: { a: 1 }, flash: [], device: undefined }, '{"a":1}'],
    [{ data: { a: 1 }, flash, device: undefined }, '[{"a":1},[["tag","k",2]]]'],
    [{ data: { a: 1 }, flash: [], device }, '[{"a":1},[],{"device":{"address":"::1"}}]'],
    [{ data: { a: 1 }, flash, device }, '[{"a":1},[["tag","k",2]],{"device":{"address":"::1"}}]'],
    [{ data: {}, flash: [], device: {} }, '[{},[],{"device":{}}]'],
  ]
  for (const [contents, text] of forms) {
    t.is(clear().encode(contents, BOUND), text)
    t.deepEqual(clear().decode(record(text)), contents)
  }
})

for (const payload of [undefined, null, 5, {}, [], new Date(0), new ArrayBuffer(50), ['{"a":1}']]) {
  test(`a payload that is ${inspect(payload)} is corrupt, whatever is configured`, (t) => {
    // What a store of another library may answer.
    const damaged = record(payload as string)
    for (const room of [clear(), locked(NEWEST)]) {
      t.throws(() => room.decode(damaged), corrupt('neither text nor bytes'))
      t.false(room.isLocked(damaged))
      t.notThrows(() => room.isCurrent(damaged))
    }
  })
}

// ---- which codec wrote it

const reviving: SessionCodec = {
  stringify: (value) => JSON.stringify(value),
  parse: (text) =>
    JSON.parse(text, (_key, value: unknown) =>
      typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? new Date(value) : value,
    ) as unknown,
}
const tagging: SessionCodec = {
  stringify: (value) =>
    JSON.stringify(value, (_key, part: unknown) => (part instanceof Map ? { $map: [...part] } : part)),
  parse: (text) => JSON.parse(text) as unknown,
}
const codecs: Readonly<Record<string, () => Payload>> = {
  JSON: () => clear(),
  devalue: () => new Payload(customCodec(devalue), 65_536, undefined),
  superjson: () => new Payload(customCodec(superjson), 65_536, undefined),
  'JSON that revives dates': () => new Payload(customCodec(reviving), 65_536, undefined),
  'JSON that tags maps': () => new Payload(customCodec(tagging), 65_536, undefined),
}
const PLAIN: readonly Contents[] = [
  { data: {}, flash: [], device: undefined },
  { data: { a: [] }, flash: [], device: undefined },
  { data: { a: [], b: { c: 1 }, when: '2020-01-01T00:00:00.000Z' }, flash: [['t', 'k', 1]], device: { a: 0 } },
]

for (const [writer, write] of Object.entries(codecs)) {
  for (const [reader, read] of Object.entries(codecs)) {
    if (writer === reader) continue
    const isReadable = writer === 'JSON'
    test(`what ${writer} wrote is ${isReadable ? 'the same' : 'an ended session'} under ${reader}`, (t) => {
      for (const contents of PLAIN.slice(0, isReadable && reader === 'JSON that revives dates' ? 2 : 3)) {
        const written = record(write().encode(contents, BOUND))
        if (isReadable) t.deepEqual(read().decode(written), contents)
        else t.throws(() => read().decode(written), corrupt('written by another codec'))
      }
    })
  }
}

test('what 0.1 wrote with a codec of the app is read by that codec, and only by it', (t) => {
  for (const codec of [devalue, superjson]) {
    const data = { when: new Date(5), list: [], n: 1 }
    const flash: Contents['flash'] = [['tag', 'k', new Date(6)]]
    const read = () => new Payload(customCodec(codec), 65_536, undefined)
    t.deepEqual(read().decode(record(codec.stringify(data))), { data, flash: [], device: undefined })
    t.deepEqual(read().decode(record(codec.stringify([data, flash]))), { data, flash, device: undefined })
  }
  // Text of devalue is a list, as ours with flash is: none of it may pass for JSON of ours.
  for (const data of [{ a: [] }, { a: [], b: {} }, { a: { b: [] } }, { a: [[]] }])
    t.throws(() => clear().decode(record(devalue.stringify(data))), { instanceOf: CorruptRecord })
})

test('a codec whose text differs each time is known by what it gives back', (t) => {
  const salted: SessionCodec = {
    stringify: (value) => `${Math.random()}|${JSON.stringify(value)}`,
    parse: (text) => JSON.parse(text.slice(text.indexOf('|') + 1)) as unknown,
  }
  const make = () => new Payload(customCodec(salted), 65_536, undefined)
  const contents = { data: { a: 1 }, flash: [], device: undefined }

  t.deepEqual(make().decode(record(make().encode(contents, BOUND))), contents)
})

// ---- what is remembered

const at = (version: number, payload: string | Uint8Array = '{"a":1}'): SessionRecord => ({
  ...record(payload),
  version,
})

test('an equal payload is not parsed again, whichever object brings it; another one is', (t) => {
  const payload = clear()
  const contents = payload.decode(at(1))

  t.is(payload.decode(at(1)), contents)
  t.is(payload.decode(at(2)), contents)
  t.deepEqual(payload.decode(at(3, '{"a":2}')).data, { a: 2 })
})

test('an equal encrypted payload is not decrypted again, but under another owner, meta or instant it fails', (t) => {
  const payload = locked(NEWEST)
  const bytes = payload.encode(CONTENTS, BOUND) as Uint8Array
  const contents = payload.decode(record(bytes))
  t.is(payload.decode(record(Uint8Array.from(bytes))), contents)

  for (const other of [{ owner: 'eve' }, { meta: undefined }, { createdAt: 8 }])
    t.throws(() => payload.decode(record(bytes, { ...BOUND, ...other })), corrupt('fails authentication'))
  // A store may hand out its own buffer, and use it again.
  bytes.set([(bytes.at(60) ?? 0) ^ 1], 60)
  t.throws(() => payload.decode(record(bytes)), corrupt('fails authentication'))
})

test('what was just written need not be parsed', (t) => {
  const payload = clear()
  const written = record('never parsed')
  payload.known.remember(written, CONTENTS)

  t.is(payload.decode(written), CONTENTS)
})

test('the newest version that was written here is known, and an older read that comes in later does not drop it', (t) => {
  const payload = clear()
  payload.known.remember(at(2, '{"a":2}'), CONTENTS)
  t.deepEqual(payload.decode(at(1)).data, { a: 1 })

  t.like(payload.known.newest(at(1), 0), { record: at(2, '{"a":2}'), contents: CONTENTS })
  t.is(payload.known.newest(at(2), 0), undefined)
  t.is(payload.known.newest({ ...at(1), key: 'another key' }, 0), undefined)
})

test('a newer version that was known before a read began is of a store that has gone back since, and forgotten', (t) => {
  const payload = clear()
  payload.known.remember(at(2), CONTENTS)
  const later = performance.now() + 1

  t.is(payload.known.newest(at(1), later), undefined)
  t.is(payload.known.newest(at(1), 0), undefined)
})

test('once the store has refused it, what was known is forgotten', (t) => {
  const payload = clear()
  payload.known.remember(at(2), CONTENTS)
  payload.known.forget('another key')
  t.not(payload.known.newest(at(1), 0), undefined)
  payload.known.forget(BOUND.key)

  t.is(payload.known.newest(at(1), 0), undefined)
})

test('what is remembered stays bounded: after thousands of others a record is parsed again', (t) => {
  const payload = clear()
  const contents = payload.decode(at(1))
  for (let other = 0; other < 5000; other++)
    payload.known.remember(record('{}', { ...BOUND, key: `other ${other}` }), CONTENTS)

  t.not(payload.decode(at(1)), contents)
})

test('what is remembered stays bounded: after megabytes of others a record is parsed again', (t) => {
  const payload = clear()
  const contents = payload.decode(at(1))
  for (let other = 0; other < 20; other++)
    payload.known.remember(record('a'.repeat(1_048_576), { ...BOUND, key: publicIdOf(`other ${other}`) }), CONTENTS)

  t.not(payload.decode(at(1)), contents)
})
