// Correct stores that are far away: each call takes its time, and so does each announcement.
import { setTimeout as wait } from 'node:timers/promises'
import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { PlainStore } from '../support/plain-store.ts'

class Far extends PlainStore {
  override async create(record: SessionRecord, now: number): Promise<boolean> {
    await wait(190)
    return super.create(record, now)
  }

  override async read(key: string, now: number): Promise<SessionRecord | undefined> {
    await wait(190)
    return super.read(key, now)
  }

  override async replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    await wait(190)
    return super.replace(record, version, now)
  }
}

/** Announces within the two seconds that it has, and reads across the ocean. */
class Late extends PlainStore {
  override async read(key: string, now: number): Promise<SessionRecord | undefined> {
    await wait(300)
    return super.read(key, now)
  }

  protected override announce(key: string): void {
    setTimeout(() => super.announce(key), 1800)
  }
}

const titled = (part: string) => storeChecks.filter(({ title }) => title.includes(part))

for (const { title, run } of titled('letter by letter'))
  test.serial(`a store that is far away: ${title}`, (t) => {
    t.timeout(60_000)
    return t.notThrowsAsync(run(new Far()))
  })

for (const { title, run } of titled('it announces a delete'))
  test.serial(`a store that announces late, and reads slowly: ${title}`, (t) => {
    t.timeout(60_000)
    return t.notThrowsAsync(run(new Late()))
  })
