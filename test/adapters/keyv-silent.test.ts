// A Keyv 5 with `emitErrors: false`, and a Keyv 6 without a listener: an outage of its storage must still be a failure.
import test from 'ava'
import { Keyv as Keyv5 } from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { fromKeyv, type KeyvLike } from '../../src/adapters/index.ts'
import { newRecord, NOW } from '../support/records.ts'

const makes: Record<string, (store: Map<string, unknown>) => KeyvLike> = {
  'keyv 5': (store) => new Keyv5({ store, emitErrors: false }),
  'keyv 6': (store) => new Keyv6({ store: store as never }),
}

for (const [name, open] of Object.entries(makes))
  test(`${name}: an outage is not an absent session, and no write is taken for done`, async (t) => {
    const backend = new Map<string, unknown>()
    const store = fromKeyv(open(backend))
    const record = newRecord()
    await store.create(record, NOW)
    const fail = () => {
      throw new Error('connect ECONNREFUSED')
    }
    const repair = (verbs: readonly string[]) => verbs.forEach((verb) => Reflect.deleteProperty(backend, verb))

    Object.assign(backend, { set: fail, delete: fail })
    await t.throwsAsync(async () => store.replace({ ...record, version: 2 }, 1, NOW))
    await t.throwsAsync(async () => store.delete(record.key))
    await t.throwsAsync(async () => store.replace({ ...record, version: 2, expiresAt: NOW }, 1, NOW))
    repair(['set', 'delete'])
    Object.assign(backend, { get: fail })
    await t.throwsAsync(async () => store.read(record.key, NOW))
    repair(['get'])

    t.is((await store.read(record.key, NOW))?.version, 1)
  })
