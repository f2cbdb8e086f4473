import test from 'ava'
import fc from 'fast-check'
import { cookieSettings } from '../../src/cookie/cookie.ts'
import { keyring, type Keyring } from '../../src/cookie/keyring.ts'
import { newId, publicIdOf } from '../../src/cookie/id.ts'
import { CookieVerifier, MAX_VERIFIED, parseSessionCookies } from '../../src/cookie/request-cookie.ts'
import { counterexample } from '../support/holds.ts'

const SECRETS = ['the newest secret of these tests', 'the older secret of these tests'] as const
const SID = cookieSettings({}, 'cookie')
const ID = 'abcdefghijklmnopqrstuvwxyz012345'
const SIGNATURE = 's'.repeat(43)
const VALUE = `${ID}.${SIGNATURE}`

const found = (header: string, name = 'sid'): readonly string[] =>
  parseSessionCookies(header, { prefix: `${name}=` }, 43).values

/** A keyring that counts how often it is asked for signatures. */
class Counting implements Keyring {
  readonly length: number
  readonly isFixed: boolean
  asked = 0
  readonly #keyring: Keyring

  constructor(keys: readonly string[] = SECRETS, isFixed = true) {
    this.#keyring = keyring([...keys], 'keys')()
    this.length = this.#keyring.length
    this.isFixed = isFixed
  }

  sign(text: string): string {
    return this.#keyring.sign(text)
  }

  index(text: string, signature: string): number {
    this.asked++
    return this.#keyring.index(text, signature)
  }
}

const signed = (keys: Keyring, id = newId(), name = 'sid'): string => `${id}.${keys.sign(`${name}=${id}`)}`

test('a cookie is found first, last and between others, with or without spaces', (t) => {
  for (const header of [
    `sid=${VALUE}`,
    `a=1; sid=${VALUE}`,
    `sid=${VALUE}; a=1`,
    `a=1;sid=${VALUE};b=2`,
    `a=1; \tsid=${VALUE}\t ; b=2`,
  ]) {
    t.deepEqual(found(header), [VALUE], header)
  }
})

test('a name is compared exactly: in full, in its case, and never inside a value', (t) => {
  for (const header of [
    `xsid=${VALUE}`,
    `sid2=${VALUE}`,
    `SID=${VALUE}`,
    `a=sid=${VALUE}`,
    `a="; x"sid=${VALUE}`,
    `sid =${VALUE}`,
    `a=b sid=${VALUE}`,
    '',
    'sid',
    ';;;',
  ]) {
    t.deepEqual(parseSessionCookies(header, SID, 43), { values: [], malformed: false }, header)
  }
})

test('a name with the letters of patterns is taken literally', (t) => {
  t.deepEqual(found(`s.d=${VALUE}`, 's.d'), [VALUE])
  t.deepEqual(found(`sxd=${VALUE}`, 's.d'), [])
})

test('a value of another shape is malformed and not handed on', (t) => {
  const shapes = [
    '',
    'x',
    ID,
    `${ID}${SIGNATURE}`,
    `.${SIGNATURE}`,
    `${ID}.`,
    `"${VALUE}"`,
    encodeURIComponent(`"${VALUE}"`),
    `${ID}%2E${SIGNATURE}`,
    ` ${VALUE}`,
    `${VALUE}=`,
    `${ID}.${SIGNATURE}s`,
    `${'i'.repeat(21)}.${SIGNATURE}`,
    `${'i'.repeat(129)}.${SIGNATURE}`,
    `${ID.replace('a', '+')}.${SIGNATURE}`,
    `${ID.replace('a', 'é')}.${SIGNATURE}`,
    `${ID}.${'s'.repeat(42)}.`,
  ]
  for (const value of shapes)
    t.deepEqual(parseSessionCookies(`sid=${value}`, SID, 43), { values: [], malformed: true }, value)
})

test('ids of 22 to 128 characters have the right shape', (t) => {
  for (const length of [22, 32, 128]) t.is(found(`sid=${'i'.repeat(length)}.${SIGNATURE}`).length, 1)
})

test('cookies of one name come in the order of the header, at most four, malformed ones not counted', (t) => {
  const values = Array.from({ length: 9 }, (_, at) => `${at}${ID.slice(1)}.${SIGNATURE}`)
  const header = values.map((value) => `sid=bad; sid=${value}`).join('; ')

  t.deepEqual(parseSessionCookies(header, SID, 43), { values: values.slice(0, MAX_VERIFIED), malformed: true })
})

test('whatever a header holds, reading it neither throws nor finds a value of another shape', (t) => {
  const part = fc.oneof(fc.string(), fc.constantFrom('sid=', ';', ' ', VALUE, ID, '.', '\t', '"', '='))
  const isClean = (parts: string[]): boolean =>
    found(parts.join('')).every((value) => /^[\w-]{22,128}\.[\w-]{43}$/.test(value))

  t.is(counterexample(fc.property(fc.array(part), isClean), 2000), undefined)
})

test('a header of 64 kB in any order takes time in proportion to its length', (t) => {
  const headers = [
    'sid='.repeat(16_000),
    'sid=;'.repeat(13_000),
    `sid=${' '.repeat(60_000)}x`,
    `${' '.repeat(30_000)}sid=${' '.repeat(30_000)};`,
    'sid= ;sid=\t;'.repeat(5000),
    `a=${'sid='.repeat(8000)}${' '.repeat(30_000)};`,
  ]
  for (const header of headers) {
    const start = process.cpuUsage()
    for (let time = 0; time < 20; time++) found(header)
    const { user } = process.cpuUsage(start)
    // A thousand times what it takes in proportion would still be less than what the square takes.
    t.true(user < 2_000_000, `${header.slice(0, 20)}: ${user} µs`)
  }
})

test('a good signature is asked of the keys once, and then known again', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const id = newId()
  const value = signed(keys, id)
  const answers = [1, 2, 3].map(() => verifier.verify({ cookie: SID, keyring: keys }, value))

  t.is(keys.asked, 1)
  for (const answer of answers) t.deepEqual(answer, { id, publicId: publicIdOf(id), needsResign: false })
})

test('with the signature of another session that is known no id passes', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(keys)
  verifier.verify({ cookie: SID, keyring: keys }, value)

  t.is(verifier.verify({ cookie: SID, keyring: keys }, `${newId()}${value.slice(32)}`), undefined)
})

test('of a known value every byte still counts', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(keys)
  verifier.verify({ cookie: SID, keyring: keys }, value)

  for (let at = 0; at < value.length; at++) {
    if (at === 32) continue
    const other = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1)
    t.is(verifier.verify({ cookie: SID, keyring: keys }, other), undefined, `byte ${at}`)
  }
  t.not(verifier.verify({ cookie: SID, keyring: keys }, value), undefined)
})

test('a known value counts under its own cookie name alone', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(keys)
  verifier.verify({ cookie: SID, keyring: keys }, value)

  t.is(verifier.verify({ cookie: cookieSettings({ name: 'other' }, 'cookie'), keyring: keys }, value), undefined)
})

test('once a key is gone, what it signed is known no more', (t) => {
  const verifier = new CookieVerifier()
  const value = signed(new Counting(), newId())
  const fresh = new Counting(['a quite different secret here'])
  t.not(verifier.verify({ cookie: SID, keyring: new Counting() }, value), undefined)

  t.is(verifier.verify({ cookie: SID, keyring: fresh }, value), undefined)
  t.is(verifier.verify({ cookie: SID, keyring: new Counting(['a quite different secret here']) }, value), undefined)
})

test('a Keygrip, which may change its keys unseen, is asked each time', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting(SECRETS, false)]
  const value = signed(keys)
  for (let time = 0; time < 3; time++) t.not(verifier.verify({ cookie: SID, keyring: keys }, value), undefined)

  t.is(keys.asked, 3)
})

test('what an older key signed is asked each time, and told as such', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(new Counting([SECRETS[1]]))
  for (let time = 0; time < 3; time++)
    t.like(verifier.verify({ cookie: SID, keyring: keys }, value), { needsResign: true })

  t.is(keys.asked, 3)
})

test('signatures that share a place take it from one another, and both stay good', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const values = Array.from({ length: 20_000 }, () => signed(keys))

  t.true(values.every((value) => verifier.verify({ cookie: SID, keyring: keys }, value)?.id === value.slice(0, 32)))
  t.true(values.every((value) => verifier.verify({ cookie: SID, keyring: keys }, value)?.id === value.slice(0, 32)))
})
