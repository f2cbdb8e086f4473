import type { SessionRecord } from '../../src/store.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

/** A MemoryStore that also keeps the records it was given, unchanged. */
export class SpiedStore extends MemoryStore {
  readonly given: SessionRecord[] = []

  override create(record: SessionRecord, now: number): boolean {
    this.given.push(record)
    return super.create(record, now)
  }

  override replace(record: SessionRecord, version: number, now: number): ReturnType<MemoryStore['replace']> {
    this.given.push(record)
    return super.replace(record, version, now)
  }
}
