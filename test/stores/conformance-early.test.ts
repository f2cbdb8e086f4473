// A store that announces an end before it has happened: whoever reads at the announcement finds the session alive, and
// session.signal aborts at the next look at all watched sessions, up to ten minutes late.
import { AssertionError } from 'node:assert'
import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { PlainStore } from '../support/plain-store.ts'

class EarlyDelete extends PlainStore {
  override delete(key: string): boolean {
    const isThere = this.records.has(key)
    if (isThere) this.announce(key)
    this.records.delete(key)
    return isThere
  }
}

class EarlyReplace extends PlainStore {
  override replace(record: SessionRecord, version: number, now: number): Replaced {
    const stored = this.live(record.key, now)
    if (stored?.version !== version) return stored ? 'stale' : 'gone'
    if (record.expiresAt <= now || record.payload.length === 0) this.announce(record.key)
    this.put(record)
    return 'done'
  }
}

/** A correct one, which also announces what has not ended. */
class Talkative extends PlainStore {
  override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    this.announce(record.key)
    return super.replace(record, version, now)
  }
}

const titled = (part: string) => storeChecks.filter(({ title }) => title.includes(part))

test('that a delete is announced before it has happened is noticed', async (t) => {
  for (const { run } of titled('it announces a delete'))
    await t.throwsAsync(run(new EarlyDelete()), { instanceOf: AssertionError })
})

test('that a replace is announced before it has happened is noticed', async (t) => {
  for (const { run } of titled('it announces a replace'))
    await t.throwsAsync(run(new EarlyReplace()), { instanceOf: AssertionError, message: /before it has happened/ })
})

for (const { title, run } of titled('subscribe'))
  test(`a correct store that announces more than ends: ${title}`, (t) => t.notThrowsAsync(run(new Talkative())))
