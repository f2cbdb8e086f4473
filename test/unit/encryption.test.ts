import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto'
import { inspect } from 'node:util'
import test from 'ava'
import { jsonCodec } from '../../src/record/codec.ts'
import type { BoundTo, EncryptionSettings } from '../../src/record/encryption.ts'
import { Payload, type Contents } from '../../src/record/payload.ts'
import { CorruptRecord, type SessionRecord } from '../../src/store.ts'

const BOUND: BoundTo = { key: 'the key of the record', owner: 'ada', meta: '{"a":5}', createdAt: 7 }
const CONTENTS: Contents = { data: { name: 'ada', n: 1 }, flash: [['tagtagta', 'info', 'hello']], device: undefined }
const NEWEST = 'the newest encryption secret'
const OLDER = Buffer.from('an older encryption secret')

/** A room of its own each time: what one has remembered, another has to decrypt. */
function room(
  keys: readonly (string | Uint8Array)[],
  settings: Partial<EncryptionSettings> = {},
  maxBytes = 65_536,
): Payload {
  const encryption = { keys, encrypt: true, acceptPlain: false, onUnknownKey: 'fail', ...settings } as const
  return new Payload(jsonCodec(maxBytes), maxBytes, keys.length === 0 ? undefined : encryption)
}

const record = (payload: string | Uint8Array, bound: BoundTo = BOUND): SessionRecord => ({
  version: 1,
  lastSeenAt: 0,
  expiresAt: 1,
  ...bound,
  payload,
})

const bytesOf = (keys: readonly (string | Uint8Array)[], bound = BOUND): Uint8Array<ArrayBuffer> =>
  new Uint8Array(room(keys).encode(CONTENTS, bound) as Uint8Array)

const corrupt = (message: string) => ({ instanceOf: CorruptRecord, message })

/** A payload as 0.1 wrote it, by its description: byte 1, name of the key, IV, tag, ciphertext. */
function format1(secret: string, text: string, { key, owner, meta }: BoundTo): Uint8Array {
  const derive = (label: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, '', `koa-fastsession ${label}`, length))
  const iv = Buffer.alloc(12, 9)
  const cipher = createCipheriv('aes-256-gcm', derive('payload key', 32), iv)
  cipher.setAAD(Buffer.from(JSON.stringify([key, owner ?? null, meta ?? null])))
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return new Uint8Array(Buffer.concat([Buffer.of(1), derive('payload key name', 6), iv, cipher.getAuthTag(), body]))
}

test('encryption does not count towards maxBytes', (t) => {
  const contents = { data: { a: 1 }, flash: [], device: undefined }
  const small = () => room([NEWEST], {}, 7)

  t.deepEqual(small().decode(record(small().encode(contents, BOUND))), contents)
})

test('an encrypted payload shows nothing of the text, and is another one each time', (t) => {
  const [one, other] = [bytesOf([NEWEST]), bytesOf([NEWEST])]

  t.false(Buffer.from(one).includes('ada'))
  t.notDeepEqual(one, other)
})

test('of ten thousand payloads of one record under one key no two have the same nonce', (t) => {
  const encryption = room([NEWEST])
  const nonces = Array.from({ length: 10_000 }, () => {
    const bytes = encryption.encode(CONTENTS, BOUND)
    return typeof bytes === 'string' ? '' : Buffer.from(bytes.subarray(11, 35)).toString('base64url')
  })

  t.is(new Set(nonces).size, nonces.length)
  t.is(new Set(nonces.map((nonce) => nonce.slice(16))).size, nonces.length, 'nor the part of it that is the IV')
})

test('an older key decrypts, the newest encrypts', (t) => {
  t.deepEqual(room([NEWEST, OLDER]).decode(record(bytesOf([OLDER]))), CONTENTS)
  t.deepEqual(room([NEWEST]).decode(record(bytesOf([NEWEST, OLDER]))), CONTENTS)
})

test('what 0.1 encrypted is read, though its instant was not bound, and no other field of it may change', (t) => {
  const old = format1(NEWEST, '[{"name":"ada","n":1},[["tagtagta","info","hello"]]]', BOUND)

  t.deepEqual(room([OLDER, NEWEST]).decode(record(old)), CONTENTS)
  t.deepEqual(room([NEWEST]).decode(record(old, { ...BOUND, createdAt: 8 })), CONTENTS)
  for (const other of [{ key: 'another' }, { owner: undefined }, { meta: '{}' }])
    t.throws(() => room([NEWEST]).decode(record(old, { ...BOUND, ...other })), corrupt('fails authentication'))
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
    const moved = record(bytesOf([NEWEST]), { ...BOUND, [field]: value })

    t.throws(() => room([NEWEST]).decode(moved), corrupt('fails authentication'))
  })
}

test('a payload opens with the key that its nonce and the key of its record make of the secret, and is bound to all fields', (t) => {
  const payload = Buffer.from(bytesOf([NEWEST]))
  const [salt, iv, tag, body] = [
    payload.subarray(11, 23),
    payload.subarray(23, 35),
    payload.subarray(35, 51),
    payload.subarray(51),
  ]
  const secretKey = Buffer.from(hkdfSync('sha256', NEWEST, '', 'koa-fastsession record key', 32))
  const key = createHmac('sha256', secretKey).update(salt).update(BOUND.key).digest()
  const decipher = createDecipheriv('aes-256-gcm', key, iv)
  decipher.setAAD(Buffer.from(JSON.stringify([BOUND.key, BOUND.owner, BOUND.meta, BOUND.createdAt])))
  decipher.setAuthTag(tag)

  t.is(
    decipher.update(body, undefined, 'utf8') + decipher.final('utf8'),
    JSON.stringify([CONTENTS.data, CONTENTS.flash]),
  )
})

test('each record and each message has a key of its own: with equal nonces the ciphertexts differ by record', (t) => {
  const mine = bytesOf([NEWEST])
  const theirs = bytesOf([NEWEST], { ...BOUND, key: 'another key' })
  // The nonce of one in the other: the message key, made of the record's key as well, is another one.
  const mixed = Uint8Array.from(theirs)
  mixed.set(mine.subarray(11, 35), 11)

  t.throws(
    () => room([NEWEST]).decode(record(mixed, { ...BOUND, key: 'another key' })),
    corrupt('fails authentication'),
  )
  t.throws(() => room([NEWEST]).decode(record(mixed)), corrupt('fails authentication'))
})

test('every byte of an encrypted payload counts, every one cut off and every one added: a damaged session, never an outage', (t) => {
  const payload = room([NEWEST, OLDER])
  const bytes = bytesOf([NEWEST])
  t.notThrows(() => room([NEWEST]).decode(record(bytes)))
  const damaged = [Uint8Array.of(...bytes, 0)]
  for (let at = 0; at < bytes.length; at++)
    damaged.push(
      Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte)),
      bytes.subarray(0, at),
    )

  for (const each of damaged) {
    t.throws(() => payload.decode(record(each)), { instanceOf: CorruptRecord })
    t.false(payload.isLocked(record(each)))
  }
})

test('bytes of no known format are corrupt', (t) => {
  for (const bytes of [new Uint8Array(0), Uint8Array.of(9, 9, 9, 9), new Uint8Array(300).fill(7)])
    for (const payload of [room([]), room([NEWEST])])
      t.throws(() => payload.decode(record(bytes)), corrupt('of no known format'))
  for (const bytes of [Uint8Array.of(1, 2), Uint8Array.of(2, 2)])
    t.throws(() => room([NEWEST]).decode(record(bytes)), corrupt('cut off'))
  t.throws(() => room([NEWEST]).decode(record(new Uint8Array(5_000_000 * 3).fill(2))), {
    instanceOf: CorruptRecord,
    message: /larger/,
  })
})

test('a payload that names an unknown key is locked: an outage, not a corrupt session', (t) => {
  const old = format1(OLDER.toString(), '{}', BOUND)
  for (const sealed of [record(bytesOf([OLDER])), record(old)]) {
    for (const payload of [room([NEWEST]), room([])]) {
      t.true(payload.isLocked(sealed))
      const error = t.throws(() => payload.decode(sealed), {
        code: 'ERR_SESSION_STORE',
        message: /options\.encryptionKeys does not list/,
      })
      t.false(error instanceof CorruptRecord)
    }
    t.false(room([NEWEST, OLDER]).isLocked(sealed))
  }
})

test("with onUnknownKey 'end' it reads as a session that has ended, told apart from a damaged one", (t) => {
  const payload = room([NEWEST], { onUnknownKey: 'end' })
  const sealed = record(bytesOf([OLDER]))

  t.true(payload.isLocked(sealed))
  t.throws(() => payload.decode(sealed), corrupt('encrypted with a key that is not listed'))
  const damaged = record(Uint8Array.from(bytesOf([NEWEST]), (byte, at) => (at === 70 ? byte ^ 1 : byte)))
  t.false(payload.isLocked(damaged))
  t.throws(() => payload.decode(damaged), corrupt('fails authentication'))
})

test('text in the clear is refused where encryption is on, unless it is being switched on or off', (t) => {
  const plain = record('{"a":1}')
  t.throws(() => room([NEWEST]).decode(plain), corrupt('not encrypted'))

  for (const settings of [{ acceptPlain: true }, { encrypt: false }, { encrypt: false, acceptPlain: true }])
    t.deepEqual(room([NEWEST], settings).decode(plain).data, { a: 1 })
})

test('while it is being switched off, both are read and nothing is encrypted', (t) => {
  const payload = room([NEWEST], { encrypt: false })

  t.is(typeof payload.encode(CONTENTS, BOUND), 'string')
  t.deepEqual(payload.decode(record(bytesOf([NEWEST]))), CONTENTS)
})

test('current is what would be written now: under the newest key in the newest format, or in the clear', (t) => {
  const payloads: Readonly<Record<string, string | Uint8Array>> = {
    clear: '{"a":1}',
    newest: bytesOf([NEWEST]),
    older: bytesOf([OLDER]),
    format1: format1(NEWEST, '{}', BOUND),
  }
  const current = (payload: Payload) =>
    Object.keys(payloads).filter((name) => payload.isCurrent(record(payloads[name] ?? '')))

  t.deepEqual(current(room([NEWEST, OLDER])), ['newest'])
  t.deepEqual(current(room([NEWEST, OLDER], { acceptPlain: true })), ['newest'])
  t.deepEqual(current(room([NEWEST], { encrypt: false })), Object.keys(payloads))
  t.deepEqual(current(room([])), Object.keys(payloads))
})

test('printing shows neither secrets nor keys made of them nor what is remembered', (t) => {
  const payload = room([NEWEST])
  payload.decode(record(payload.encode(CONTENTS, BOUND)))
  const print = inspect(payload, { depth: Infinity, showHidden: true })

  for (const word of [NEWEST, 'ada', 'hello']) t.false(print.includes(word))
})
