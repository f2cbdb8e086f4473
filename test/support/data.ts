// session.data over a snapshot, without a session around it.
import { jsonCodec, type Codec } from '../../src/record/codec.ts'
import { ABSENT, type Changes, type Snapshot } from '../../src/record/changes.ts'
import type { Core } from '../../src/session/core.ts'
import { Data, type DataSession } from '../../src/session/data.ts'

export type Loose = Record<string, unknown>

/** The part of a session that its data uses. */
export const OPEN: DataSession = {
  core: { running: 0 } as unknown as Core,
  publicId: 'public',
  status: 'live',
  phase: 'open',
}
export const json = jsonCodec(1000)

/** Data over a snapshot, and the object that a handler would get. */
export function dataOf(snapshot: Snapshot, codec: Codec = json, session = OPEN): { data: Data; view: Loose } {
  const data = new Data(snapshot, codec, session)
  return { data, view: data.proxy as Loose }
}

/** A snapshot with the changes applied: what the next request would read. */
export function applyAll(snapshot: Snapshot, changes: Changes): Snapshot {
  const next = Object.fromEntries(Object.entries(snapshot))
  for (const { key, value } of changes) {
    if (value === ABSENT) Reflect.deleteProperty(next, key)
    else Object.defineProperty(next, key, { value, writable: true, enumerable: true, configurable: true })
  }
  return next
}

/** The changes without the values that were read: deleted keys are `ABSENT`. */
export const wantedBy = (changes: Changes): Loose => Object.fromEntries(changes.map(({ key, value }) => [key, value]))
export const wanted = ({ data }: { data: Data }): Loose => wantedBy(data.changes())

export const STORED: Snapshot = Object.freeze({
  n: 1,
  name: 'ada',
  nested: Object.freeze({ list: Object.freeze([1, 2]) }),
  nothing: null,
})
export const plain = (): Loose => JSON.parse(JSON.stringify(STORED)) as Loose
