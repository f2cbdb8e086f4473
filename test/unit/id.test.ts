import { createHash } from 'node:crypto'
import test from 'ava'
import { isId, isPublicId, newId, newTag, publicIdOf } from '../../src/cookie/id.ts'

test('an id is 32 characters of the base64url alphabet, 192 bits', (t) => {
  t.regex(newId(), /^[\w-]{32}$/)
})

test('ten thousand ids are all different, whenever the pool is filled again', (t) => {
  const ids = new Set(Array.from({ length: 10_000 }, newId))

  t.is(ids.size, 10_000)
})

test('every one of the 64 letters turns up in ids', (t) => {
  const letters = new Set(Array.from({ length: 500 }, newId).join(''))

  t.is(letters.size, 64)
})

test('a public id is the SHA-256 of the id as 43 characters of base64url', (t) => {
  const id = newId()

  t.is(publicIdOf(id), createHash('sha256').update(id).digest('base64url'))
  t.is(publicIdOf(id).length, 43)
})

test('two ids have two public ids, one id always the same', (t) => {
  const [one, other] = [newId(), newId()]

  t.not(publicIdOf(one), publicIdOf(other))
  t.is(publicIdOf(one), publicIdOf(one))
})

test('a tag is short and hardly ever the same', (t) => {
  const tags = new Set(Array.from({ length: 1000 }, newTag))

  t.is(tags.size, 1000)
  t.true([...tags].every((tag) => tag.length === 8))
})

const ID = 'abcdefghijklmnopqrstuvwxyz012345'

test('an id is 22 to 128 characters of the base64url alphabet', (t) => {
  for (const id of ['i'.repeat(22), '-'.repeat(128), ID]) t.true(isId(id))
  for (const id of [
    '',
    'i'.repeat(21),
    'i'.repeat(129),
    `${ID}.`,
    `${ID}\n`,
    `${ID} `,
    5,
    null,
    undefined,
    [ID],
    { length: 30 },
  ])
    t.false(isId(id))
})

test('a public id is 43 characters of the base64url alphabet, and no other text or thing is one', (t) => {
  const publicId = publicIdOf(newId())
  t.true(isPublicId(publicId))
  const others = [
    '',
    publicId.slice(1),
    `${publicId}a`,
    `${publicId.slice(1)}=`,
    `${publicId.slice(1)}\n`,
    ` ${publicId}`,
  ]
  for (const other of [...others, 5, null, undefined, {}, [publicId], new String(publicId)]) t.false(isPublicId(other))
})
