// What the functions of koa-fastsession/migrate refuse.
import test from 'ava'
import expressSession from 'express-session'
import { fromExpressSession, fromKoaSession, takeOver, type TakeOverOptions } from '../../src/migrate.ts'

test('wrong options are refused', (t) => {
  const right = { from: fromKoaSession(), until: Date.now(), goOn: () => undefined }
  const wrong: [object, string][] = [
    [{ ...right, from: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...right, until: '2027-01-01' }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...right, until: NaN }, 'ERR_INVALID_ARG_VALUE'],
    [{ ...right, goOn: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...right, now: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...right, overlap: 'soon' }, 'ERR_INVALID_ARG_VALUE'],
    [{ ...right, overlp: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [{ ...right, cookie: { name: 'a' } }, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [options, code] of wrong) t.throws(() => takeOver(options as TakeOverOptions), { code })
  const type = { code: 'ERR_INVALID_ARG_TYPE' }
  t.throws(() => fromKoaSession({ key: 1 } as never), type)
  t.throws(() => fromKoaSession({ keys: [] }), type)
  t.throws(() => fromKoaSession({ store: {} } as never), type)
  t.throws(() => fromExpressSession({ secret: '', store: new expressSession.MemoryStore() }), type)
  t.throws(() => fromExpressSession({ secret: 'a' } as never), type)
  t.throws(() => fromKoaSession({ name: 'a' } as never), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('a number that was meant to be a secret is not printed', (t) => {
  const store = new expressSession.MemoryStore()
  for (const make of [
    () => fromExpressSession({ secret: 48213377 as never, store }),
    () => fromKoaSession({ keys: 48213377 as never }),
  ]) {
    const { message } = t.throws(make, { code: 'ERR_INVALID_ARG_TYPE' })
    t.regex(message, /, got a number$/)
  }
})
