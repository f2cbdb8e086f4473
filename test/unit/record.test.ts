import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import { decodeMetadata, encodeMetadata, newMetadata, type Metadata } from '../../src/record/record.ts'
import { CorruptRecord } from '../../src/store.ts'
import { counterexample } from '../support/holds.ts'

const CREATED = 1_800_000_000_000

const letters = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...Array.from('abcXYZ019-_')), minLength, maxLength })

const notes: fc.Arbitrary<Metadata> = fc.record(
  {
    startedAt: fc.oneof(fc.constant(CREATED), fc.nat(CREATED)),
    maxAge: fc.oneof(fc.constant(0), fc.nat()),
    maxAgeSince: fc.nat(CREATED),
    authenticatedAt: fc.option(fc.nat(CREATED), { nil: undefined }),
    isFreshStart: fc.boolean(),
    predecessor: fc.option(fc.string({ minLength: 1, maxLength: 255 }), { nil: undefined }),
    successor: fc.option(fc.string({ minLength: 1, maxLength: 255 }), { nil: undefined }),
    binding: fc.option(
      fc.record(
        {
          id: letters(1, 128),
          x: letters(43, 43),
          y: letters(43, 43),
          boundAt: fc.nat(CREATED),
          provenAt: fc.nat(CREATED),
        },
        { noNullPrototype: true },
      ),
      { nil: undefined },
    ),
    registration: fc.option(letters(1, 128), { nil: undefined }),
  },
  { noNullPrototype: true },
)

test('a session of which nothing special is known needs no metadata', (t) => {
  t.is(encodeMetadata(newMetadata(CREATED), CREATED), undefined)
  t.deepEqual(decodeMetadata({ meta: undefined, createdAt: CREATED }), newMetadata(CREATED))
})

test('metadata comes back as it was written', (t) => {
  const comeBack = (note: Metadata): boolean => {
    // Only a tombstone, which names its successor, says how that one began.
    const written = { ...note, isFreshStart: note.isFreshStart && note.successor !== undefined }
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

test('metadata stays short: defaults are left out', (t) => {
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
  '[]',
  '5',
  '{"m":-1}',
  '{"m":34560000001}',
  '{"a":9007199254740993}',
  '{"n":5}',
  '{"n":""}',
  '{"b":null}',
  '{"b":[]}',
  '{"b":["id","x","y",1,2]}',
  '{"b":["id",{},[],null,2]}',
]) {
  test(`metadata ${JSON.stringify(meta)} makes a corrupt record`, (t) => {
    t.throws(() => decodeMetadata({ meta, createdAt: CREATED }), {
      instanceOf: CorruptRecord,
      message: 'meta is not what was written',
    })
  })
}

test('a device-bound session keeps its binding as a list, and an open registration by its name', (t) => {
  const binding = { id: 'id', x: 'x'.repeat(43), y: 'y'.repeat(43), boundAt: 1, provenAt: 2 }
  const meta = encodeMetadata({ ...newMetadata(CREATED), binding, registration: 'name' }, CREATED)

  t.is(meta, `{"b":["id","${binding.x}","${binding.y}",1,2],"r":"name"}`)
  t.deepEqual(decodeMetadata({ meta, createdAt: CREATED }), {
    ...newMetadata(CREATED),
    binding,
    registration: 'name',
  })
})

test('keys of a later version are ignored', (t) => {
  t.deepEqual(decodeMetadata({ meta: '{"z":[1],"a":5}', createdAt: CREATED }), {
    ...newMetadata(CREATED),
    authenticatedAt: 5,
  })
})

test('whatever meta is, reading it gives metadata or a corrupt record, and nothing else', (t) => {
  const meta = fc.oneof(
    fc.string(),
    fc.json(),
    fc.anything(),
    fc.object({ values: [fc.anything()] }).map((each) => JSON.stringify(each)),
  )
  const isTold = (each: unknown): boolean => {
    try {
      return typeof decodeMetadata({ meta: each as string, createdAt: CREATED }).startedAt === 'number'
    } catch (error) {
      return error instanceof CorruptRecord
    }
  }

  t.is(counterexample(fc.property(meta, isTold)), undefined)
  t.true(isTold('['.repeat(1e6)))
  t.true(isTold(`{"a":${'1'.repeat(1e6)}}`))
})
