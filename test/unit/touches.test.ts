import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { Touches } from '../../src/session/touches.ts'
import type { SessionRecord } from '../../src/store.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function touchedAt(lastSeenAt: number, version = 1): SessionRecord {
  const record = { key: 'key', version, owner: undefined, createdAt: 0, meta: undefined }
  return { ...record, payload: new Uint8Array(1_000_000), lastSeenAt, expiresAt: lastSeenAt + 100 }
}

test('a record that was read before a touch has the instants of the touch', (t) => {
  const touches = new Touches()
  touches.remember(touchedAt(20))

  const { lastSeenAt, expiresAt } = touches.newest(touchedAt(10))

  t.deepEqual({ lastSeenAt, expiresAt }, { lastSeenAt: 20, expiresAt: 120 })
  t.is(touches.newest(touchedAt(30)).lastSeenAt, 30, 'one that was read after it has its own')
  t.is(touches.newest(touchedAt(10, 2)).lastSeenAt, 10, 'and so has another version')
})

test('a touch keeps no payload in memory', async (t) => {
  const touches = new Touches()
  const payload = new WeakRef(rememberOne(touches))

  // What was made in a turn of the event loop stays until its end.
  for (let turn = 0; turn < 50 && payload.deref() !== undefined; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }

  t.true(payload.deref() === undefined)
  t.is(touches.newest(touchedAt(10)).lastSeenAt, 20, 'the touch itself is remembered')
})

function rememberOne(touches: Touches): object {
  const record = touchedAt(20)
  touches.remember(record)
  return record.payload as Uint8Array
}
