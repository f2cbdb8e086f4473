// A correct store that deletes what has expired as it comes upon it, in whichever verb.
import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

class Pruning extends MemoryStore {
  override read(...args: Parameters<MemoryStore['read']>): ReturnType<MemoryStore['read']> {
    this.deleteExpired(args[1], Infinity)
    return super.read(...args)
  }

  override list(...args: Parameters<MemoryStore['list']>): ReturnType<MemoryStore['list']> {
    this.deleteExpired(args[1], Infinity)
    return super.list(...args)
  }

  override listKeys(...args: Parameters<MemoryStore['listKeys']>): ReturnType<MemoryStore['listKeys']> {
    this.deleteExpired(args[1], Infinity)
    return super.listKeys(...args)
  }

  override scan(...args: Parameters<MemoryStore['scan']>): ReturnType<MemoryStore['scan']> {
    this.deleteExpired(args[0], Infinity)
    return super.scan(...args)
  }
}

for (const { title, run } of storeChecks.filter((check) => /portions|listed|expired/.test(check.title)))
  test(`it passes: ${title}`, async (t) => {
    await t.notThrowsAsync(run(new Pruning()))
  })
