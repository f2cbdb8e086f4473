// A foreign store that is slow with every call loses none: what waits behind a slow call waits, up to options.storeTimeout.
import test from 'ava'
import { fromExpressStore } from '../../src/adapters/index.ts'
import { MongoShape } from '../support/mongo-shape.ts'
import { newRecord, NOW } from '../support/records.ts'
import { soon, stopClock, turns } from '../support/stopped-clock.ts'

test.serial(
  'in a store that reads in 600 ms and writes in 800, no change fails because another one waits',
  async (t) => {
    const pass = stopClock(t)
    const store = new MongoShape()
    const adapter = fromExpressStore(store)
    const record = newRecord()
    await adapter.create(record, NOW)
    store.get = (sid, callback) => void setTimeout(() => MongoShape.prototype.get.call(store, sid, callback), 600)
    store.set = (sid, given, callback) =>
      void setTimeout(() => MongoShape.prototype.set.call(store, sid, given, callback), 800)

    const [first, second] = ['first', 'second'].map((payload) =>
      Promise.resolve(adapter.replace({ ...record, version: 2, payload }, 1, NOW)).catch((error: unknown) => error),
    )
    for (let step = 0; step < 30; step++) {
      // Others are served meanwhile.
      void adapter.read('another', NOW)
      await turns(5)
      pass(100)
      await turns(5)
    }

    t.is(await soon(first), 'done')
    t.is(await soon(second), 'stale')
  },
)
