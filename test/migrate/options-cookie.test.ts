// The names and attributes of the old cookies: with wrong ones nobody is taken over, or no old cookie is ever cleared, in silence.
import test from 'ava'
import expressSession from 'express-session'
import { fromExpressSession, fromKoaSession, takeOver, type TakeOverOptions } from '../../src/migrate.ts'

const right: TakeOverOptions = { from: fromKoaSession(), until: Date.now(), goOn: () => undefined }

test('a path or domain that no cookie has is refused when takeOver() is called', (t) => {
  for (const cookie of [
    { path: '' },
    { path: 'shop' },
    { path: '/shop; secure' },
    { path: 5 },
    { path: null },
    { domain: '' },
    { domain: 'shop.example:3000' },
    { domain: 'shop.example\n' },
    { domain: ['shop.example'] },
  ])
    t.throws(() => takeOver({ ...right, cookie: cookie as TakeOverOptions['cookie'] }), {
      message: /^options\.cookie\.(?:path|domain) must be /,
    })
  for (const cookie of [
    {},
    undefined,
    { path: '/shop', domain: '.shop.example' },
    { path: undefined, domain: undefined },
  ])
    t.notThrows(() => takeOver({ ...right, cookie }))
})

test('an old cookie without a name is refused', (t) => {
  const store = new expressSession.MemoryStore()
  t.throws(() => fromKoaSession({ key: '' }), { message: /^options\.key must be the name of the old cookie, got / })
  t.throws(() => fromExpressSession({ name: '', secret: 'a', store }), {
    message: /^options\.name must be the name of the old cookie, got /,
  })
})

test('a blank old secret is refused: with it anybody signs an old cookie', (t) => {
  const store = new expressSession.MemoryStore()
  for (const blank of [' ', '\n']) {
    t.throws(() => fromKoaSession({ keys: ['a secret', blank] }), { code: 'ERR_INVALID_ARG_TYPE' })
    t.throws(() => fromExpressSession({ secret: blank, store }), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})
