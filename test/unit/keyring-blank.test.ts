// A secret is not blank, as text or as bytes: what readFileSync() gives of an empty file, or what is left of a wiped buffer.
import test from 'ava'
import { MemoryStore, session } from '../../src/index.ts'
import { keyring } from '../../src/cookie/keyring.ts'

const blanks = ['', ' ', '\t\n'].flatMap((text) => [text, Buffer.from(text), new Uint8Array(Buffer.from(text))])

test('a blank secret is refused as bytes as well, for signing and for encryption', (t) => {
  for (const secret of [...blanks, Buffer.from('\r\n'), Buffer.alloc(32)])
    for (const options of [
      { keys: [secret] },
      { keys: ['a secret of some length', secret] },
      { encryptionKeys: [secret] },
      { encryptionKeys: { keys: [secret] } },
    ])
      t.throws(() => session({ store: new MemoryStore(), ...options }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /^options\.\w+(?:\.keys)?\[\d\] must be a secret of at least one character that is no space/,
      })
  for (const secret of [Buffer.from('a secret of some length'), new Uint8Array(32).fill(255), Buffer.from([0, 0, 7])])
    t.notThrows(() => session({ store: new MemoryStore(), keys: [secret], encryptionKeys: [secret] }))
})

test('bytes that are wiped after they were given are refused, and sign nothing', (t) => {
  const secret = Buffer.from('a secret of some length')
  const ring = keyring([secret], 'options.keys')
  ring()
  secret.fill(0)

  t.throws(() => ring(), { code: 'ERR_INVALID_ARG_VALUE', message: /^options\.keys\[0\] must be a secret/ })
})
