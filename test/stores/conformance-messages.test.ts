// What the checks for stores say where a store is at fault.
import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { PlainStore } from '../support/plain-store.ts'

class CreatesAlways extends PlainStore {
  override create(record: SessionRecord): boolean {
    this.put(record)
    return true
  }
  override replace(record: SessionRecord): Replaced {
    this.put(record)
    return 'done'
  }
}

for (const [title, word] of [
  ['of ten concurrent creates of one key one wins, and its record is the stored one', 'true'],
  ['of ten concurrent replaces of one version one is done, and its record is the stored one', 'done'],
] as const)
  test(`what fails says what is due: ${title}`, async (t) => {
    const check = storeChecks.find((one) => one.title === title)
    await t.throwsAsync(async () => check?.run(new CreatesAlways()), {
      message: new RegExp(`^of ten at once exactly one must get ${word}`),
    })
  })
