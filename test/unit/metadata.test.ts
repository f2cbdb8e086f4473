import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import { decodeMetadata, encodeMetadata, newMetadata, type Metadata } from '../../src/record/metadata.ts'
import { CorruptRecord } from '../../src/store.ts'
import { counterexample } from '../support/holds.ts'

const CREATED = 1_800_000_000_000

const notes: fc.Arbitrary<Metadata> = fc.record(
  {
    startedAt: fc.oneof(fc.constant(CREATED), fc.nat(CREATED)),
    maxAge: fc.oneof(fc.constant(0), fc.nat()),
    maxAgeSince: fc.nat(CREATED),
    authenticatedAt: fc.option(fc.nat(CREATED), { nil: undefined }),
    successor: fc.option(fc.string(), { nil: undefined }),
  },
  { noNullPrototype: true },
)

test('a session of which nothing special is known needs no notes', (t) => {
  t.is(encodeMetadata(newMetadata(CREATED), CREATED), undefined)
  t.deepEqual(decodeMetadata({ meta: undefined, createdAt: CREATED }), newMetadata(CREATED))
})

test('notes come back as they were written', (t) => {
  const comeBack = (written: Metadata): boolean => {
    const meta = encodeMetadata(written, CREATED)
    // Where there is no lifetime of its own, nobody asks since when.
    const unasked = written.maxAge === 0 ? { maxAgeSince: 0 } : {}
    return isDeepStrictEqual(
      { ...decodeMetadata({ meta, createdAt: CREATED }), ...unasked },
      { ...written, ...unasked },
    )
  }

  t.is(counterexample(fc.property(notes, comeBack)), undefined)
})

test('notes stay short: what is as usual is left out', (t) => {
  t.is(encodeMetadata({ ...newMetadata(CREATED), authenticatedAt: 5 }, CREATED), '{"a":5}')
  t.is(encodeMetadata({ ...newMetadata(CREATED), successor: 'key' }, CREATED), '{"n":"key"}')
  t.is(encodeMetadata({ ...newMetadata(7), maxAge: 9, maxAgeSince: 8 }, CREATED), '{"s":7,"m":9,"c":8}')
})

for (const meta of [
  '',
  'x',
  '{',
  'null',
  '{"a":"1"}',
  '{"a":0.5}',
  '{"m":1e999}',
  '{"s":null}',
  '{"m":[]}',
  '{"c":true}',
]) {
  test(`notes ${JSON.stringify(meta)} make a corrupt record`, (t) => {
    t.throws(() => decodeMetadata({ meta, createdAt: CREATED }), {
      instanceOf: CorruptRecord,
      message: 'meta is not what was written',
    })
  })
}

test('a successor that is no text is none', (t) => {
  t.is(decodeMetadata({ meta: '{"n":5}', createdAt: CREATED }).successor, undefined)
})
