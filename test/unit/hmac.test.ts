import { createHmac } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { Hmac, isEqualText } from '../../src/cookie/hmac.ts'
import { counterexample } from '../support/holds.ts'

const bytes = (byte: number, length: number) => Buffer.alloc(length, byte)

// RFC 4231, section 4: the test cases whose data is text (case 5 checks a truncated output, which does not exist here).
const VECTORS: readonly [name: string, key: Buffer | string, data: string, digest: string][] = [
  ['1', bytes(0x0b, 20), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  ['2', 'Jefe', 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
  [
    '6',
    bytes(0xaa, 131),
    'Test Using Larger Than Block-Size Key - Hash Key First',
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
  [
    '7',
    bytes(0xaa, 131),
    'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.',
    '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
  ],
]

for (const [name, key, data, digest] of VECTORS) {
  test(`case ${name} of RFC 4231`, (t) => {
    t.is(Buffer.from(new Hmac(key).sign(data), 'base64url').toString('hex'), digest)
  })
}

test('whatever the key and the text are, it signs as createHmac does, one text after another', (t) => {
  const key = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 200 }))
  const texts = fc.array(fc.string({ unit: 'binary', maxLength: 2000 }), { minLength: 1, maxLength: 5 })
  const agrees = (key: string | Uint8Array, texts: string[]): boolean => {
    const hmac = new Hmac(key)
    return texts.every((text) => hmac.sign(text) === createHmac('sha256', key).update(text).digest('base64url'))
  }

  t.is(counterexample(fc.property(key, texts, agrees)), undefined)
})

for (const length of [63, 64, 65]) {
  test(`a key of ${length} bytes, at the edge of a block`, (t) => {
    const key = bytes(7, length)
    t.is(new Hmac(key).sign('text'), createHmac('sha256', key).update('text').digest('base64url'))
  })
}

// Three bytes a character: 512 of them fill the buffer to the last byte.
for (const length of [512, 513, 5000]) {
  test(`a text of ${length} characters, at the edge of the buffer and beyond it`, (t) => {
    const text = '\u20ac'.repeat(length)
    t.is(new Hmac('key').sign(text), createHmac('sha256', 'key').update(text).digest('base64url'))
  })
}

test('texts are equal in full or not at all', (t) => {
  t.true(isEqualText('', ''))
  for (const text of ['abc', 'x'.repeat(43), 'y'.repeat(128)]) {
    t.true(isEqualText(text, text))
    t.false(isEqualText(text, text.slice(1)))
    for (let at = 0; at < text.length; at++) t.false(isEqualText(text, `${text.slice(0, at)}_${text.slice(at + 1)}`))
  }
})
