// What is no proof: every way to forge one, and whatever else may come in the headers.
import { constants, createHmac, generateKeyPairSync, sign } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { cookieSettings } from '../../src/cookie/cookie.ts'
import { keyring } from '../../src/cookie/keyring.ts'
import { boundCookieLine, isProvenBy } from '../../src/cookie/bound-cookie.ts'
import { challengeInstant, newChallenge } from '../../src/device-bound/challenge.ts'
import { isSignedBy, parseProof } from '../../src/device-bound/proof.ts'
import { KEYS } from '../support/app.ts'
import { boundDevice, boundSite, MINUTE, seen, type BoundSite } from '../support/bound-site.ts'
import type { Device } from '../support/device.ts'
import {
  challengeIn,
  HTTPS,
  jwkOf,
  jws,
  newKey,
  offerIn,
  REFRESH,
  refreshProof,
  registration,
} from '../support/device.ts'
import { counterexample } from '../support/holds.ts'

const serial = test.serial
const encoded = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')

type Forge = (device: Device, challenge: string, site: BoundSite) => string | Promise<string>

/** Each is wrong in one thing; what is signed is signed well. */
const FORGERIES: Record<string, Forge> = {
  'another alg': (d, c) => registration(d.pair, c, { header: { alg: 'ES384' } }),
  'alg: none and no signature': (d, c) =>
    `${encoded({ alg: 'none', typ: 'dbsc+jwt', jwk: jwkOf(d.pair) })}.${encoded({ jti: c })}.`,
  'alg: none with a signature': (d, c) => registration(d.pair, c, { header: { alg: 'none' } }),
  'alg in small letters': (d, c) => registration(d.pair, c, { header: { alg: 'es256' } }),
  'an HMAC under the public key': (d, c) => {
    const signed = `${encoded({ alg: 'HS256', typ: 'dbsc+jwt', jwk: jwkOf(d.pair) })}.${encoded({ jti: c })}`
    return `${signed}.${createHmac('sha256', JSON.stringify(jwkOf(d.pair)))
      .update(signed)
      .digest('base64url')}`
  },
  RS256: (d, c) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const signed = `${encoded({ alg: 'RS256', typ: 'dbsc+jwt', jwk: jwkOf(d.pair) })}.${encoded({ jti: c })}`
    const padding = constants.RSA_PKCS1_PADDING
    return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, padding }).toString('base64url')}`
  },
  'another typ': (d, c) => registration(d.pair, c, { header: { typ: 'JWT' } }),
  'no typ': (d, c) => registration(d.pair, c, { header: { typ: undefined } }),
  'an extension that must be understood': (d, c) => registration(d.pair, c, { header: { crit: ['b64'], b64: false } }),
  'no challenge': (d, c) => registration(d.pair, c, { payload: { jti: undefined } }),
  'a challenge that is no text': (d, c) => registration(d.pair, c, { payload: { jti: [c] } }),
  'a longer challenge': (d, c) => registration(d.pair, `${c}A`),
  'an empty challenge': (d) => registration(d.pair, ''),
  'a challenge of nobody': (d) => registration(d.pair, `${'a'.repeat(9)}.${'b'.repeat(16)}.${'c'.repeat(43)}`),
  'a signature in DER': (d, c) => {
    const signed = `${encoded({ alg: 'ES256', typ: 'dbsc+jwt', jwk: jwkOf(d.pair) })}.${encoded({ jti: c })}`
    return `${signed}.${sign('sha256', Buffer.from(signed), d.pair.privateKey).toString('base64url')}`
  },
  'a signature of zeroes': (d, c) => `${registration(d.pair, c).split('.', 2).join('.')}.${'A'.repeat(86)}`,
  'a payload that was changed after it was signed': (d, c) => {
    const [head, , signature] = registration(d.pair, 'other').split('.')
    return `${head}.${encoded({ jti: c })}.${signature}`
  },
  'a header that was changed after it was signed': (d, c) => {
    const [, body, signature] = registration(d.pair, c).split('.')
    return `${encoded({ typ: 'dbsc+jwt', alg: 'ES256', jwk: jwkOf(d.pair) })}.${body}.${signature}`
  },
  'another key signed it': (d, c) => registration(d.pair, c, { key: newKey().privateKey }),
  'four parts': (d, c) => `${registration(d.pair, c)}.AA`,
  'two parts': (d, c) => registration(d.pair, c).split('.', 2).join('.'),
  padding: (d, c) => `${registration(d.pair, c)}==`,
  'a header of lists': (d, c) => jws(d.pair.privateKey, ['ES256'], { jti: c }),
  'a prototype for a header': (d, c) =>
    registration(d.pair, c, { header: { alg: undefined, ['__proto__']: { alg: 'ES256' } } }),
  'too much': (d, c) => registration(d.pair, c, { payload: { more: 'x'.repeat(5000) } }),
  'no text at all': () => ' ',
  'quotes within': (d, c) => `"${registration(d.pair, c)}`,
}

/** Wrong as a registration alone. */
const WRONG_KEYS: Record<string, Forge> = {
  'no key': (d, c) => registration(d.pair, c, { header: { jwk: undefined } }),
  'a key on another curve': (d, c) => {
    const pair = newKey('P-384')
    return registration(d.pair, c, { header: { jwk: jwkOf(pair) }, key: pair.privateKey })
  },
  'a key of secp256k1': (d, c) => {
    const pair = newKey('secp256k1')
    return registration(d.pair, c, { header: { jwk: { ...jwkOf(pair), crv: 'P-256' } }, key: pair.privateKey })
  },
  'a key of no point on the curve': (d, c) =>
    registration(d.pair, c, { header: { jwk: { ...jwkOf(d.pair), y: 'A'.repeat(43) } } }),
  'a key of another type': (d, c) => registration(d.pair, c, { header: { jwk: { ...jwkOf(d.pair), kty: 'oct' } } }),
  'a key with short coordinates': (d, c) => registration(d.pair, c, { header: { jwk: { ...jwkOf(d.pair), x: 'AA' } } }),
  'a text for a key': (d, c) => registration(d.pair, c, { header: { jwk: 'key' } }),
  "another session's challenge": async (d, c, site) =>
    registration(d.pair, offerIn(await site.device().get('/in'))?.challenge ?? c),
  "a refresh's challenge": (d, c, site) => registration(d.pair, refreshChallengeOf(site, c)),
}

/** Wrong as a refresh alone. */
const WRONG_REFRESHES: Record<string, Forge> = {
  'a key that comes with it': (d, c) => {
    const thief = newKey()
    return registration(thief, c)
  },
  "another session's challenge": async (d, c, site) =>
    refreshProof(d.pair, challengeIn(await (await boundDevice(site)).ask())?.challenge ?? c),
  "a registration's challenge": async (d, c, site) =>
    refreshProof(d.pair, offerIn(await site.device().get('/in'))?.challenge ?? c),
  'a challenge of six minutes ago': (d, c, site) => {
    site.clock.now += 6 * MINUTE
    return refreshProof(d.pair, c)
  },
  'a challenge of the future': (d, _c, site) => {
    const signing = { cookie: cookieSettings({}, 'cookie'), keyring: keyring(KEYS, 'keys')() }
    return refreshProof(d.pair, newChallenge(signing, 'refresh', d.id ?? '', site.clock.now + 2 * MINUTE))
  },
}

// Under the site's own keys, and yet for the other purpose.
function refreshChallengeOf(site: BoundSite, challenge: string): string {
  const signing = { cookie: cookieSettings({}, 'cookie'), keyring: keyring(KEYS, 'keys')() }
  return newChallenge(signing, 'refresh', challenge.slice(0, 32), site.clock.now)
}

for (const [what, forge] of Object.entries({ ...FORGERIES, ...WRONG_KEYS })) {
  serial(`no key is registered by a proof with ${what}`, async (t) => {
    const site = await boundSite(t)
    const device = site.device()
    const signedIn = await device.get('/in')
    const proof = await forge(device, offerIn(signedIn)?.challenge ?? '', site)

    const refused = await device.post(offerIn(signedIn)?.path ?? '', { 'secure-session-response': proof })

    t.is(refused.status, 403)
    t.is(refused.body, '')
    t.deepEqual(refused.setCookie, [])
    t.like(seen(await device.get('/')), { origin: 'resumed', owner: 'ada', isBound: false })
  })
}

for (const [what, forge] of Object.entries({ ...FORGERIES, ...WRONG_REFRESHES })) {
  serial(`no cookie is renewed by a proof with ${what}`, async (t) => {
    const site = await boundSite(t)
    const device = await boundDevice(site)
    const found = challengeIn(await device.ask())
    const proof = await forge(device, found?.challenge ?? '', site)
    site.calls.length = 0

    const refused = await device.post(REFRESH, {
      'sec-secure-session-id': device.id ?? '',
      'secure-session-response': proof,
    })

    t.is(refused.status, 403)
    t.deepEqual(refused.setCookie, [])
    t.is(challengeIn(refused)?.id, device.id)
    t.deepEqual(site.calls, ['read'])
    t.is((await device.prove(challengeIn(refused)?.challenge ?? '')).status, 200)
  })
}

serial('headers come with quotes and without', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const offer = offerIn(await device.get('/in'))
  const proof = registration(device.pair, offer?.challenge ?? '')
  const registered = await device.post(offer?.path ?? '', { 'secure-session-response': `"${proof}"` })
  t.is(registered.status, 200)
  device.id = `"${(JSON.parse(registered.body) as { session_identifier: string }).session_identifier}"`

  t.is((await device.refresh()).status, 200)
})

serial('parameters may follow what a header says', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const offer = offerIn(await device.get('/in'))
  const proof = registration(device.pair, offer?.challenge ?? '')
  const registered = await device.post(offer?.path ?? '', { 'secure-session-response': `"${proof}";v="1"; w` })
  t.is(registered.status, 200)
  device.id = `"${(JSON.parse(registered.body) as { session_identifier: string }).session_identifier}";v=1`

  t.is((await device.refresh()).status, 200)
})

serial('headers of any size and kind are answered, and nobody else is disturbed', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const cookie = await device.browser.cookie()
  for (const value of ['x'.repeat(12_000), '.'.repeat(5000), '"'.repeat(99), '{}', 'AA.AA.AA', '\t', '"', '""']) {
    for (const headers of [
      { 'secure-session-response': value },
      { 'sec-secure-session-id': value },
      { 'sec-secure-session-id': device.id ?? '', 'secure-session-response': value },
    ] as Record<string, string>[]) {
      const { status } = await device.browser.send(REFRESH, cookie, {
        method: 'POST',
        headers: { ...HTTPS, ...headers },
      })
      t.true(status === 403 || status === 401, `${status}`)
    }
  }
  t.is((await device.refresh()).status, 200)
})

// ---- the pure rooms over anything

const cookie = cookieSettings({}, 'cookie')
const signing = { cookie, keyring: keyring(KEYS, 'keys')() }
const NOW = 1_800_000_000_000

test('whatever a header holds, it is a proof or none, and nobody signed it', (t) => {
  const { x = '', y = '' } = jwkOf(newKey()) as { x?: string; y?: string }
  const part = fc.oneof(
    fc.base64String().map((text) => text.replace(/[+/=]/g, '_')),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc
      .record({ alg: fc.constantFrom('ES256', 'none'), typ: fc.constant('dbsc+jwt'), jwk: fc.jsonValue() })
      .map(encoded),
    fc.record({ jti: fc.jsonValue() }).map(encoded),
    fc.uint8Array({ minLength: 64, maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  )
  const header = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.')),
    fc.array(fc.string()),
  )
  const isNone = (given: string | string[]): boolean => {
    const proof = parseProof(given)
    return proof === undefined || !isSignedBy(proof, { x, y })
  }
  t.is(counterexample(fc.property(header, isNone)), undefined)
})

test('a text is a challenge if it was made for that purpose and that binding, and in no other case', (t) => {
  const id = fc.stringMatching(/^[\w-]{1,40}$/)
  const made = fc.property(
    id,
    fc.nat(299_999),
    fc.constantFrom('registration' as const, 'refresh' as const),
    (name, age, purpose) => {
      const challenge = newChallenge(signing, purpose, name, NOW - age)
      const other = purpose === 'refresh' ? 'registration' : 'refresh'
      return (
        challengeInstant(signing, purpose, name, challenge, NOW) === NOW - age &&
        challengeInstant(signing, other, name, challenge, NOW) === undefined &&
        challengeInstant(signing, purpose, `${name}x`, challenge, NOW) === undefined &&
        challengeInstant(signing, purpose, name, challenge, NOW - age + 300_000) === undefined &&
        challengeInstant(
          { ...signing, cookie: cookieSettings({ name: 'other' }, 'cookie') },
          purpose,
          name,
          challenge,
          NOW,
        ) === undefined
      )
    },
  )
  t.is(counterexample(made), undefined)
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^[0-9a-z]{1,11}\.[\w-]{16}\.[\w-]{20,60}$/),
  )
  const isNone = (text: string): boolean => challengeInstant(signing, 'refresh', 'id', text, NOW) === undefined
  t.is(counterexample(fc.property(anything, isNone)), undefined)
})

test('a Cookie header proves a binding if it holds the cookie that was made for it, changed in nothing', (t) => {
  const [pair = ''] = boundCookieLine(signing, 'id', 600_000, NOW).split(';')
  const isProven = (header: string, now = NOW): boolean => isProvenBy(header, signing, 'id', 600_000, now)
  t.true(isProven(pair))
  t.true(isProven(`a=b; sid-bound=planted; ${pair}; sid-bound=x`))
  t.true(isProven(pair, NOW + 599_999))
  t.false(isProven(pair, NOW + 600_000))
  t.true(isProven(pair, NOW - 60_000))
  t.false(isProven(pair, NOW - 60_001))
  t.false(isProvenBy(pair, signing, 'other', 600_000, NOW))
  t.false(
    isProvenBy(
      pair.replace('sid-bound', 'own-bound'),
      { ...signing, cookie: cookieSettings({ name: 'own' }, 'c') },
      'id',
      600_000,
      NOW,
    ),
  )
  const changed = fc.property(fc.nat(pair.length - 1), fc.stringMatching(/^[\w.;= -]?$/), (at, with_) => {
    const text = pair.slice(0, at) + with_ + pair.slice(at + 1)
    return text === pair || !isProven(text)
  })
  t.is(counterexample(changed), undefined)
  const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^sid-bound=[\w-]{22,30}\.[\w-]{43}$/))
  t.is(counterexample(fc.property(anything, (text) => !isProven(text))), undefined)
})
