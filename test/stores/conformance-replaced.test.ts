// Stores that alter what a replace writes, and nothing that a create writes: nearly all data of a session is written by replace.
import { AssertionError } from 'node:assert'
import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { PlainStore } from '../support/plain-store.ts'

const text = (change: (payload: string) => string) => (record: SessionRecord) =>
  typeof record.payload === 'string' ? { ...record, payload: change(record.payload) } : record

const faults: Record<string, (record: SessionRecord) => SessionRecord> = {
  'drops NUL': text((payload) => payload.replaceAll('\0', '')),
  'loses half a pair of surrogates': text((payload) => Buffer.from(payload).toString()),
  'knows Latin-1 alone': text((payload) => Buffer.from(payload, 'latin1').toString('latin1')),
  'cuts a payload at 64 kB': (record) => ({ ...record, payload: record.payload.slice(0, 65_535) }),
  'cuts a payload at 256 kB': (record) => ({ ...record, payload: record.payload.slice(0, 262_143) }),
  'cuts an owner': (record) => ({ ...record, owner: record.owner?.slice(0, 191) }),
  'trims an owner': (record) => ({ ...record, owner: record.owner?.trim() }),
  'cuts a meta': (record) => ({ ...record, meta: record.meta?.slice(0, 255) }),
  'takes an empty meta for none': (record) => ({ ...record, meta: record.meta === '' ? undefined : record.meta }),
}

for (const [fault, change] of Object.entries(faults))
  test(`a replace that ${fault} is noticed`, async (t) => {
    class Broken extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        return super.replace(change(record), version, now)
      }
    }
    const errors: unknown[] = []
    for (const { run } of storeChecks) {
      await run(new Broken()).catch((error: unknown) => errors.push(error))
      if (errors.length > 0) break
    }

    t.true(errors[0] instanceof AssertionError)
  })
