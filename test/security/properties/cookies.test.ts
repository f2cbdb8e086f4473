// What a client may send as a Cookie header: everything. Nothing but a cookie that we signed, in its one form, may reach
// the store, and nothing at all may end in an exception.
import { createHmac, type hash } from 'node:crypto'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import test from 'ava'
import fc from 'fast-check'
import { MAX_VERIFIED } from '../../../src/cookie/request-cookie.ts'
import { KEYS } from '../../support/app.ts'
import { cookieOf, quick, type Quick } from '../../support/quick.ts'

/** Of what is drawn at random here; a failure is repeated with it. */
const SEED = 6265

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const originOf = ({ origin }: { origin: string }): string => origin

async function begun(app: Quick): Promise<string> {
  const value = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1))).slice('sid='.length)
  app.store.counted()
  return value
}

/** How many of these headers were answered otherwise than as a cookie that is none of ours, each with what came of it. */
async function surprises(app: Quick, headers: readonly string[], allowed: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const header of headers) {
    const { status, setCookie, result } = await app.ask(header, originOf)
    if (status !== 200 || setCookie.length > 0 || !allowed.includes(result ?? ''))
      found.push(`${JSON.stringify(header)}: ${status} ${String(result)}`)
    if (found.length > 5) break
  }
  return found
}

test('each byte of id and signature changed into every other one is invalid, and never reaches the store', async (t) => {
  const app = quick()
  const value = await begun(app)
  const headers: string[] = []
  for (let at = 0; at < value.length; at++) {
    for (let byte = 0; byte < 256; byte++) {
      const letter = String.fromCharCode(byte)
      if (letter !== value[at]) headers.push(`sid=${value.slice(0, at)}${letter}${value.slice(at + 1)}`)
    }
  }

  t.is(headers.length, 76 * 255)
  t.deepEqual(await surprises(app, headers, ['invalid']), [])
  t.deepEqual(app.store.counted(), {})
  t.deepEqual(app.errors, [])
})

const encodings: Readonly<Record<string, (value: string) => readonly string[]>> = {
  'in another alphabet of base64': (value) =>
    [
      value.replace(/-/g, '+').replace(/_/g, '/'),
      Buffer.from(value.split('.')[1] ?? '', 'base64url').toString('base64'),
    ].map((text) => (text.includes('.') ? text : `${value.split('.')[0] ?? ''}.${text}`)),
  padded: (value) => [`${value}=`, `${value}==`, value.replace('.', '=.'), `=${value}`, `${value}%3D`],
  'in hexadecimal': (value) => [
    `${value.split('.')[0] ?? ''}.${Buffer.from(value.split('.')[1] ?? '', 'base64url').toString('hex')}`,
  ],
  'in another case': (value) => [
    value.toLowerCase(),
    value.toUpperCase(),
    `${value.slice(0, 33)}${value.slice(33).toLowerCase()}`,
  ],
  quoted: (value) => [`"${value}"`, `'${value}'`, `"${value}`, `${value}"`, `\\"${value}\\"`],
  'percent-encoded': (value) => [
    value.replace('.', '%2E'),
    value.replace('.', '%2e'),
    `%${value.charCodeAt(0).toString(16)}${value.slice(1)}`,
    Array.from(value, (letter) => `%${letter.charCodeAt(0).toString(16)}`).join(''),
  ],
  'with white space in it': (value) => [
    ` ${value}`,
    `\t${value}`,
    value.replace('.', ' .'),
    value.replace('.', '. '),
    `${value}\v`,
    `${value}\f`,
    `${value}\u00a0`,
    `${value}\r`,
    `${value}\n`,
  ],
  'with more or less of it': (value) => [
    value.slice(1),
    value.slice(0, -1),
    `${value}A`,
    `A${value}`,
    `${value}.`,
    `.${value}`,
    value.replace('.', ''),
    value.replace('.', '..'),
    `${value}.${value.split('.')[1] ?? ''}`,
    `${value}\0`,
    `s:${value}`,
    `j:${value}`,
  ],
  'with the other end of the last letter': (value) =>
    Array.from(LETTERS, (letter) => value.slice(0, -1) + letter).filter((other) => other !== value),
}

for (const [what, encode] of Object.entries(encodings)) {
  test(`a good cookie ${what} is invalid, and never reaches the store`, async (t) => {
    const app = quick()
    // Until it has a letter that is written otherwise in the other alphabet, and one that has a case.
    let value = ''
    for (let tries = 0; tries < 100 && !(/-.*\./.test(value) && /\..*_/.test(value)); tries++) value = await begun(app)

    const headers = encode(value)
      .filter((text) => text !== value)
      .map((text) => `sid=${text}`)

    t.true(headers.length > 0)
    t.deepEqual(await surprises(app, headers, ['invalid']), [])
    t.deepEqual(app.store.counted(), {})
    t.is((await app.ask(`sid=${value}`, originOf)).result, 'resumed')
  })
}

test('a cookie of another name, or of our name in another case, is none of ours', async (t) => {
  const app = quick({ cookie: { name: '__Host-sid' } })
  const value = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1))).slice('__Host-sid='.length)
  app.store.counted()

  t.deepEqual(
    await surprises(
      app,
      [
        '__host-sid',
        '__HOST-sid',
        '__Host-SID',
        'sid',
        '__Secure-sid',
        '__Host-sid.sig',
        '__Host-sid ',
        'x__Host-sid',
        'a=__Host-sid',
        'a __Host-sid',
      ].map((name) => `${name}=${value}`),
      ['new'],
    ),
    [],
  )
  t.is((await app.ask(`__Host-sid=${value}`, originOf)).result, 'resumed')
})

/** Any bytes, as Node hands them over: one character each. */
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('latin1'))

/** What looks like cookies, with mistakes in every place where one can be made. */
const grammar = (good: string): fc.Arbitrary<string> => {
  const word = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom(...Array.from(LETTERS)), minLength, maxLength })
  const [id = '', signature = ''] = good.split('.')
  const name = fc.constantFrom(
    'sid',
    'SID',
    'xsid',
    'sid2',
    'sid.sig',
    ' sid',
    'sid ',
    '',
    '__proto__',
    'constructor',
    '$Version',
    '"sid"',
  )
  const equals = fc.constantFrom('=', '==', ' = ', '', ':', '%3D', '=;')
  const forged = fc.tuple(fc.oneof(word(22, 128), fc.constant(id)), word(43, 43)).map((parts) => parts.join('.'))
  const misplaced = fc.constantFrom(
    `${id}.`,
    `.${signature}`,
    id,
    signature,
    `${signature}.${id}`,
    `"${good}"`,
    `${good}=`,
    `${good}x`,
    '"',
    '""',
    '\\',
    '%00',
    '\0',
    '\u00ff',
  )
  const value = fc.oneof({ weight: 3, arbitrary: forged }, misplaced, word(0, 200), bytes)
  const pair = fc.tuple(name, equals, value).map((parts) => parts.join(''))
  return fc
    .array(pair, { maxLength: 12 })
    .chain((pairs) => fc.constantFrom('; ', ';', ';;', ' ; ', ',', '\t', ' ').map((between) => pairs.join(between)))
}

/** A good cookie with one to three bytes put in, taken out or changed. */
const mutated = (good: string): fc.Arbitrary<string> => {
  const change = fc.record({
    at: fc.nat(good.length - 1),
    kind: fc.constantFrom('insert', 'remove', 'change', 'double'),
    byte: fc.nat(255),
  })
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    let value = good
    for (const { at, kind, byte } of changes) {
      const [before, after] = [value.slice(0, at), value.slice(at)]
      if (kind === 'insert') value = before + String.fromCharCode(byte) + after
      if (kind === 'remove') value = before + after.slice(1)
      if (kind === 'change') value = before + String.fromCharCode(byte) + after.slice(1)
      if (kind === 'double') value = before + after.slice(0, 5) + after
    }
    return `sid=${value}`
  })
}

/** Whether a header still holds the good cookie, in the form that counts: not hostile, then. */
const holdsGood = (header: string, good: string): boolean =>
  header.split(';').some((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, '') === `sid=${good}`)

const HOSTILE = 100_000

test('of 100,000 hostile Cookie headers none is an exception and none reaches the store', async (t) => {
  t.timeout(120_000)
  const app = quick()
  const good = await begun(app)
  const sources = [
    { of: bytes, count: 20_000 },
    { of: grammar(good), count: 40_000 },
    { of: mutated(good), count: 40_000 },
  ]
  let sent = 0
  for (const [at, { of, count }] of sources.entries()) {
    const headers = fc
      .sample(of, { numRuns: count, seed: SEED + at })
      .map((header) => (holdsGood(header, good) ? `${header}!` : header))
      .filter((header) => !holdsGood(header, good))
    sent += headers.length
    t.deepEqual(await surprises(app, headers, ['invalid', 'new']), [])
  }

  t.log(`${sent} headers, seed ${SEED}`)
  t.true(sent > HOSTILE - 100)
  t.deepEqual(app.store.counted(), {})
  t.deepEqual(app.errors, [])
})

test('a good cookie is found among any cookies that are none of ours', async (t) => {
  const app = quick()
  const good = await begun(app)
  const others = fc.array(fc.stringMatching(/^[a-z]{1,8}=[\w.\- "%]{0,40}$/), { maxLength: 8 })
  const headers = fc
    .sample(fc.tuple(others, others), { numRuns: 1000, seed: SEED })
    .map(([before, after]) => [...before, `sid=${good}`, ...after].join('; '))
    .filter((header) => (header.match(/(?:^|; )sid=/g) ?? []).length === 1)

  t.true(headers.length > 900)
  for (const header of headers) t.is((await app.ask(header, originOf)).result, 'resumed', header)
})

interface Crypto {
  hash: typeof hash
}

test.serial('16 kB of cookies of our name cost four HMACs for each secret, and no store call', async (t) => {
  const app = quick()
  await app.ask(undefined, originOf)
  const forged = (at: number): string => `sid=${String(at).padStart(32, 'f')}.${String(at).padStart(43, 'f')}`
  const header = Array.from({ length: 200 }, (_, at) => forged(at)).join('; ')
  // Every hash of this process: an HMAC takes two, a public id one. Imports follow the change.
  const crypto = createRequire(import.meta.url)('node:crypto') as Crypto
  const original = crypto.hash
  let count = 0
  // It has three signatures; all of them are passed on.
  crypto.hash = ((...args: Parameters<typeof hash>) => (count++, original(...args))) as typeof hash
  syncBuiltinESMExports()
  t.teardown(() => {
    crypto.hash = original
    syncBuiltinESMExports()
  })

  const { status, result } = await app.ask(header, originOf)

  t.true(header.length > 16_000)
  t.deepEqual([status, result], [200, 'invalid'])
  t.is(count, 2 * MAX_VERIFIED * KEYS.length)
  t.deepEqual(app.store.counted(), {})
  count = 0
  await app.ask(undefined, ({ data }) => (data['n'] = 1))
  t.is(count, 3, 'the count sees what it is to see')
})

test('a store key is no cookie: signed as an id, it names no session', async (t) => {
  const app = quick()
  const publicId =
    (
      await app.ask(undefined, (session) => {
        session.data['n'] = 1
        return session.publicId
      })
    ).result ?? ''
  app.store.counted()
  const signature = createHmac('sha256', KEYS[0] ?? '')
    .update(`sid=${publicId}`)
    .digest('base64url')

  const { result, status } = await app.ask(`sid=${publicId}.${signature}`, ({ origin, data }) => ({
    origin,
    n: data['n'],
  }))

  t.is(status, 200)
  t.deepEqual(result, { origin: 'expired', n: undefined })
})
