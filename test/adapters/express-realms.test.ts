// Under Jest, errors of Node's own modules are of another realm than the test's: `instanceof Error` is false for them.
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { fromExpressStore, type ExpressSession } from '../../src/adapters/index.ts'
import { newRecord, NOW } from '../support/records.ts'

test('a missing file is a missing session also where its error is of another realm, as under Jest', async (t) => {
  const missing: unknown = runInNewContext(
    "Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT', syscall: 'open' })",
  )
  t.false(missing instanceof Error)
  const files = new Map<string, ExpressSession>()
  const adapter = fromExpressStore({
    get: (sid, callback) => (files.has(sid) ? callback(null, files.get(sid)) : callback(missing)),
    set: (sid, given, callback) => {
      files.set(sid, given)
      callback()
    },
    destroy: (sid, callback) => {
      files.delete(sid)
      callback()
    },
  })
  const record = newRecord()

  t.is(await adapter.read(record.key, NOW), undefined)
  t.true(await adapter.create(record, NOW))
})

test('an outage of another realm keeps its code', async (t) => {
  const down: unknown = runInNewContext(
    "Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' })",
  )
  const adapter = fromExpressStore({
    get: (_, callback) => callback(down),
    set: (_, __, callback) => callback(down),
    destroy: (_, callback) => callback(down),
  })
  const error: unknown = await Promise.resolve(adapter.read('k', NOW)).catch((reason: unknown) => reason)

  t.is((error as { code?: unknown }).code, 'ECONNREFUSED')
})
