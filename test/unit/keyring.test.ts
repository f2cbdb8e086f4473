import test from 'ava'
import fc from 'fast-check'
import Keygrip from 'keygrip'
import { hasShortSecret, keyring } from '../../src/cookie/keyring.ts'
import { counterexample } from '../support/holds.ts'

test('a keyring signs as Keygrip with SHA-256 does', (t) => {
  const secrets = ['the newest of the secrets', 'an older secret']
  const ring = keyring(secrets, 'keys')()
  const keygrip = new Keygrip(secrets, 'sha256')

  for (const text of ['', 'sid=abc', 'sid=é☃', 'x'.repeat(1000)]) t.is(ring.sign(text), keygrip.sign(text))
})

test('a keyring tells which key signed, and that none did', (t) => {
  const secrets = ['the newest of the secrets', Buffer.from('an older secret')]
  const ring = keyring(secrets, 'keys')()

  t.is(ring.index('sid=a', ring.sign('sid=a')), 0)
  t.is(ring.index('sid=a', new Keygrip(['an older secret'], 'sha256').sign('sid=a')), 1)
  t.is(ring.index('sid=b', ring.sign('sid=a')), -1)
  t.is(ring.index('sid=a', 'short'), -1)
})

test('whatever the secrets and the text are, a keyring signs as Keygrip does and finds the key that Keygrip finds', (t) => {
  const secret = fc
    .oneof(fc.string({ minLength: 1 }), fc.uint8Array({ minLength: 1, maxLength: 200 }))
    .filter((given) => Buffer.from(given).toString().replaceAll('\0', '').trim() !== '')
  const secrets = fc.uniqueArray(secret, {
    minLength: 1,
    maxLength: 4,
    selector: (each) => Buffer.from(each).toString('hex'),
  })
  const agrees = (keys: (string | Uint8Array)[], text: string, at: number): boolean => {
    const ring = keyring(keys, 'keys')()
    // Keygrip's types know strings alone.
    const keygrip = new Keygrip(keys as string[], 'sha256')
    const signature = new Keygrip([keys[at % keys.length] as string], 'sha256').sign(text)
    return ring.sign(text) === keygrip.sign(text) && ring.index(text, signature) === keygrip.index(text, signature)
  }

  t.is(
    counterexample(fc.property(secrets, fc.string({ unit: 'binary', maxLength: 700 }), fc.nat(3), agrees)),
    undefined,
  )
})

test('a list that changes in its place has another keyring from then on, and the bytes of a secret count too', (t) => {
  const bytes = Buffer.from('the bytes of a secret')
  const keys: (string | Uint8Array)[] = ['the first of the secrets']
  const live = keyring(keys, 'keys')
  const first = live()
  t.is(live(), first)
  keys.unshift(bytes)
  const second = live()
  t.is(second.sign('a'), new Keygrip(['the bytes of a secret'], 'sha256').sign('a'))
  bytes.write('THE')

  t.is(live().sign('a'), new Keygrip(['THE bytes of a secret'], 'sha256').sign('a'))
  t.not(live(), second)
})

test('lists that take turns are not made anew each time, whether they are the same lists or equal ones', (t) => {
  const secrets = (app: number) => [`the secret of the app number ${app}`]
  const rings = [0, 1, 2].map((app) => keyring(secrets(app), 'keys')())

  for (let time = 0; time < 5; time++)
    for (const app of [0, 1, 2]) t.true(keyring(secrets(app), 'keys')() === rings[app])
})

test('a list that is emptied or blanked while it is used is refused at the next request', (t) => {
  for (const change of [(keys: string[]) => keys.pop(), (keys: string[]) => (keys[0] = ' ')]) {
    const keys = ['a secret of these tests']
    const live = keyring(keys, 'options.keys')
    change(keys)
    t.throws(() => live(), { instanceOf: TypeError, message: /^options\.keys(\[0\])? must be / })
  }
})

test('a secret under 16 characters or bytes is short, wherever it stands in the list', (t) => {
  t.true(hasShortSecret(['a'.repeat(16), 'a'.repeat(15)]))
  t.true(hasShortSecret([new Uint8Array(15)]))
  t.false(hasShortSecret(['a'.repeat(16), new Uint8Array(16)]))
  for (const none of [undefined, new Keygrip(['short'])]) t.false(hasShortSecret(none))
})

for (const [secrets, what] of [
  [[''], 'empty'],
  [['a secret that is long enough', ' '], 'blank'],
  [['   '], 'three spaces'],
  [['a secret that is long enough', ' '.repeat(64)], 'sixty-four spaces'],
  [['\t'], 'a tab'],
  [['\n'], 'the end of a line'],
  [['a secret that is long enough', '\r\n'], 'the end of a line of Windows'],
] as const)
  test(`a Keygrip with a secret that is ${what} is refused: anyone can sign what it takes for its own`, (t) => {
    for (const algorithm of ['sha1', 'sha256', 'sha384', 'sha512'])
      for (const encoding of ['base64', 'hex'] as const)
        t.throws(() => keyring(new Keygrip(secrets, algorithm, encoding), 'app.keys'), {
          instanceOf: TypeError,
          code: 'ERR_INVALID_ARG_VALUE',
          message: /^app\.keys is a Keygrip with an empty or blank secret, .+ is its variable set\?$/,
        })
  })

const MISSING = {
  instanceOf: TypeError,
  code: 'ERR_INVALID_ARG_VALUE',
  message: /^app\.keys is a Keygrip with a secret that is missing or no text: .+ is its variable set\?$/,
}

test('a Keygrip with a secret that is missing or no text is refused, without showing it', (t) => {
  for (const secret of [undefined, null, 271828] as unknown as string[])
    for (const secrets of [[secret], ['a secret that is long enough', secret]])
      t.throws(() => keyring(new Keygrip(secrets), 'app.keys'), MISSING)
})

test('a Keygrip whose secret goes missing while it is used is refused in the same words', (t) => {
  const changes: readonly ((secrets: unknown[]) => unknown)[] = [
    (secrets) => (secrets.length = 0),
    (secrets) => secrets.unshift(undefined),
    (secrets) => secrets.push(271828),
  ]
  for (const [at, change] of changes.entries()) {
    const secrets = ['a secret that is long enough']
    const live = keyring(new Keygrip(secrets), 'app.keys')
    change(secrets)
    t.throws(() => live().index('a', 'x'.repeat(27)), MISSING)
    // Whether a secret behind the first is missing shows where signatures are compared.
    if (at < 2) t.throws(() => live().sign('a'), MISSING)
  }
})

test('what a signer of the app itself throws is passed on', (t) => {
  const failing = {
    sign(): string {
      throw new RangeError('the signer is locked')
    },
    index: () => -1,
  }
  t.throws(() => keyring(failing, 'keys'), { instanceOf: RangeError })
})
