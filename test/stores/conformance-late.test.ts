// A check that fails while a write is under way deletes that record as well.
import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import { MemoryStore, type SessionRecord } from '../../src/index.ts'

class Late extends MemoryStore {
  readonly kept: Promise<boolean>[] = []

  async #later(record: SessionRecord, now: number): Promise<boolean> {
    for (let turns = 0; turns < 20; turns++) await turn()
    return super.create(record, now)
  }

  override create(record: SessionRecord, now: number): boolean {
    // The type is that of a MemoryStore, which answers at once.
    const kept = this.#later(record, now)
    this.kept.push(kept)
    return kept as unknown as boolean
  }

  override list() {
    return { records: [], cursor: undefined }
  }
}

test('a check that fails while a create is under way leaves nothing behind', async (t) => {
  const store = new Late()
  const check = storeChecks.find(({ title }) => title.endsWith('shows a session that moves to another key')) ?? t.fail()

  await t.throwsAsync(check.run(store), { name: 'AssertionError', message: /one instant/ })
  await Promise.all(store.kept)

  t.deepEqual(store.scan(Date.now(), 100, undefined).records, [])
})
