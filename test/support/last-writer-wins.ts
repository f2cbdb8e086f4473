// A broken store, which the models must notice.
import { MemoryStore, type Replaced, type SessionRecord } from '../../src/index.ts'

/** Writes whatever was read, as a session library without versions does. */
export class LastWriterWins extends MemoryStore {
  override replace(record: SessionRecord, _version: number, now: number): Replaced {
    const held = this.read(record.key, now)
    return held === undefined ? 'gone' : super.replace({ ...record, version: held.version + 1 }, held.version, now)
  }
}
