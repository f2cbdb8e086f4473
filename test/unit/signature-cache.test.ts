import test from 'ava'
import { cookieSettings } from '../../src/cookie/cookie.ts'
import { keyring, type Keyring } from '../../src/cookie/keyring.ts'
import { newId, publicIdOf } from '../../src/cookie/id.ts'
import { CookieVerifier } from '../../src/cookie/signature-cache.ts'

const SECRETS = ['the newest secret of these tests', 'the older secret of these tests'] as const
const SID = cookieSettings({}, 'cookie')

/** A keyring that counts how often it is asked for signatures. */
class Counting implements Keyring {
  readonly length: number
  readonly isFixed: boolean
  asked = 0
  readonly #keyring: Keyring

  constructor(keys: readonly string[] = SECRETS, isFixed = true) {
    this.#keyring = keyring([...keys], 'keys').current()
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

test('a good signature is asked of the keys once, and then known again', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const id = newId()
  const value = signed(keys, id)
  const answers = [1, 2, 3].map(() => verifier.verify(SID, keys, value))

  t.is(keys.asked, 1)
  for (const answer of answers) t.deepEqual(answer, { id, publicId: publicIdOf(id), needsResign: false })
})

test('with the signature of another session that is known no id passes', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(keys)
  verifier.verify(SID, keys, value)

  t.is(verifier.verify(SID, keys, `${newId()}${value.slice(32)}`), undefined)
})

test('of a known value every byte still counts', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(keys)
  verifier.verify(SID, keys, value)

  for (let at = 0; at < value.length; at++) {
    if (at === 32) continue
    const other = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1)
    t.is(verifier.verify(SID, keys, other), undefined, `byte ${at}`)
  }
  t.not(verifier.verify(SID, keys, value), undefined)
})

test('a known value counts under its own cookie name alone', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(keys)
  verifier.verify(SID, keys, value)

  t.is(verifier.verify(cookieSettings({ name: 'other' }, 'cookie'), keys, value), undefined)
})

test('once a key is gone, what it signed is known no more', (t) => {
  const verifier = new CookieVerifier()
  const value = signed(new Counting(), newId())
  const fresh = new Counting(['a quite different secret here'])
  t.not(verifier.verify(SID, new Counting(), value), undefined)

  t.is(verifier.verify(SID, fresh, value), undefined)
  t.is(verifier.verify(SID, new Counting(['a quite different secret here']), value), undefined)
})

test('a Keygrip, which may change its keys unseen, is asked each time', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting(SECRETS, false)]
  const value = signed(keys)
  for (let time = 0; time < 3; time++) t.not(verifier.verify(SID, keys, value), undefined)

  t.is(keys.asked, 3)
})

test('what an older key signed is asked each time, and told as such', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const value = signed(new Counting([SECRETS[1]]))
  for (let time = 0; time < 3; time++) t.like(verifier.verify(SID, keys, value), { needsResign: true })

  t.is(keys.asked, 3)
})

test('signatures that share a place take it from one another, and both stay good', (t) => {
  const [verifier, keys] = [new CookieVerifier(), new Counting()]
  const values = Array.from({ length: 20_000 }, () => signed(keys))

  t.true(values.every((value) => verifier.verify(SID, keys, value)?.id === value.slice(0, 32)))
  t.true(values.every((value) => verifier.verify(SID, keys, value)?.id === value.slice(0, 32)))
})
