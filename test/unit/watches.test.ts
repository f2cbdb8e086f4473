// Ten thousand sessions whose end is waited for: no reads while nothing happens, one timer, and nothing left behind.
import { mock } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { CheckedStore } from '../../src/checked-store.ts'
import { newRecord } from '../../src/conformance/scene.ts'
import { jsonCodec } from '../../src/record/codec.ts'
import { Events } from '../../src/events.ts'
import { Payload } from '../../src/record/payload.ts'
import { Watches, type Watcher } from '../../src/session/watches.ts'
import { settingsOf } from '../../src/settings.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import type { SessionRecord, SessionStore } from '../../src/store.ts'

const MANY = 10_000

class Waiting implements Watcher {
  readonly isOver = false
  readonly record: SessionRecord
  ended = 0

  constructor(record: SessionRecord) {
    this.record = record
  }

  end(): void {
    this.ended++
  }
}

class CountingStore extends MemoryStore {
  reads = 0

  override read(key: string, now: number): SessionRecord | undefined {
    this.reads++
    return super.read(key, now)
  }
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
const turn = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** The watches over a store whose announcements the test makes. */
function announcing(store: SessionStore): { watches: Watches; announce: (key: string | undefined) => void } {
  let told: ((key: string | undefined) => void) | undefined
  const subscribe = (onEnd: typeof told): (() => void) => {
    told = onEnd
    return () => undefined
  }
  const watches = new Watches({
    store: new CheckedStore(Object.assign(store, { subscribe }), 20_000, new Events(undefined)),
    payload: new Payload(jsonCodec(1000), 65_536, undefined),
    settings: settingsOf({ keys: ['a secret of more than sixteen characters'] }),
  })
  return { watches, announce: (key) => told?.(key) }
}

/** Until it is so, for a minute at most. */
async function eventually(isSo: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 1200 && !isSo(); tries++) await turn(50)
  return isSo()
}

test.serial('ten thousand watched sessions cost one read each, one timer, and leave nothing behind', async (t) => {
  const settings = settingsOf({ keys: ['a secret of more than sixteen characters'] })
  const events = new Events(undefined)
  const store = new CountingStore({ maxSessions: 2 * MANY })
  const checked = new CheckedStore(store, 2000, events)
  const watches = new Watches({ store: checked, payload: new Payload(jsonCodec(1000), 65_536, undefined), settings })
  const now = Date.now()
  const record = (at: number): SessionRecord => newRecord(now, { key: `${at}`.padStart(43, 'k') })
  const before = timers()
  let watchers: Waiting[] = []
  for (let at = 0; at < MANY; at++) {
    store.create(record(at), now)
    watchers.push(new Waiting(record(at)))
  }

  for (const watcher of watchers) watches.add(watcher)
  t.true(await eventually(() => store.reads >= MANY))
  const reads = store.reads
  // Longer than the tick that looks at the clock.
  await turn(2500)

  t.is(reads, MANY, 'one look each, when it is looked at first')
  t.is(store.reads, reads, 'none while nothing happens')
  t.true(timers() - before <= 1, 'one timer for all')

  // Made shorter behind our back, which is no end that a store announces.
  store.replace({ ...record(8), version: 2, expiresAt: Date.now() + 1000 }, 1, now)
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called on performance
  const { now: timeOf } = performance
  let ahead = 500_000
  performance.now = () => timeOf.call(performance) + ahead
  t.teardown(() => (performance.now = timeOf))
  await turn(2500)
  t.is(store.reads, reads, 'none for eight minutes')
  t.is(watchers[8]?.ended, 0)
  ahead = 600_000
  t.true(await eventually(() => store.reads >= 2 * MANY))
  await turn(2500)
  t.is(store.reads, 2 * MANY, 'one each in ten minutes: a thousand a minute')
  t.is(watchers[8]?.ended, 1)

  store.delete(record(7).key)
  t.true(await eventually(() => watchers[7]?.ended === 1))

  const left = watchers.map((watcher) => new WeakRef(watcher))
  for (const watcher of watchers) watches.remove(watcher)
  watchers = []
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await turn(0)
  t.true(
    await eventually(() => {
      collect()
      // A few may still be in registers of this very function.
      return left.filter((reference) => reference.deref() !== undefined).length < 5
    }),
  )
  t.is(timers() - before, 0, 'without anybody to wait for there is no timer')
  watches.close()
})

test.serial('an end right after a look is told within five seconds where the store announces nothing', async (t) => {
  const settings = settingsOf({ keys: ['a secret of more than sixteen characters'] })
  const events = new Events(undefined)
  const store: SessionStore = Object.assign(new MemoryStore(), { subscribe: undefined })
  const watches = new Watches({
    store: new CheckedStore(store, 2000, events),
    payload: new Payload(jsonCodec(1000), 65_536, undefined),
    settings,
  })
  const now = Date.now()
  const record = newRecord(now)
  const watcher = new Waiting(record)
  await store.create(watcher.record, now)
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const start = performance.now()
  let ahead = 0
  // An own property in front of the prototype's.
  performance.now = () => start + ahead
  t.teardown(() => Reflect.deleteProperty(performance, 'now'))

  watches.add(watcher)
  await turn(0)
  await store.delete(record.key)
  while (watcher.ended === 0 && ahead < 10_000) {
    ahead += 1000
    mock.timers.tick(1000)
    await turn(0)
  }

  t.is(watcher.ended, 1)
  t.true(ahead < 5000, `${ahead} ms`)
  watches.close()
})

test.serial('looks do not pile up while a store says again and again that ends may have been missed', async (t) => {
  const inner = new MemoryStore()
  let heal!: () => void
  let outage: Promise<void> | undefined
  let underWay = 0
  let most = 0
  const store: SessionStore = Object.assign(new MemoryStore(), {
    read: (key: string, now: number) => {
      if (outage === undefined) return inner.read(key, now)
      most = Math.max(most, ++underWay)
      return outage.then(() => {
        underWay--
        return inner.read(key, now)
      })
    },
  })
  const { watches, announce } = announcing(store)
  const now = Date.now()
  const watchers = Array.from({ length: 200 }, (_, at) => {
    const watcher = new Waiting(newRecord(now, { key: `${at}`.padStart(43, 'k') }))
    inner.create(watcher.record, now)
    watches.add(watcher)
    return watcher
  })

  outage = new Promise((resolve) => (heal = resolve))
  for (let times = 0; times < 5; times++) {
    announce(undefined)
    await turn(10)
  }
  const [first] = watchers
  inner.delete(first?.record.key ?? '')
  t.true(most > 0 && most <= 16, `${most} at once`)
  outage = undefined
  heal()

  t.true(await eventually(() => first?.ended === 1))
  watches.close()
})

for (const isLate of [true, false])
  test.serial(
    `a look that answers ${isLate ? 'late hides no later one that failed' : 'hides no later one that fails then'}`,
    async (t) => {
      const inner = new MemoryStore()
      const answers: ((answer: Promise<SessionRecord | undefined>) => void)[] = []
      let isSlow = true
      const store: SessionStore = Object.assign(new MemoryStore(), {
        read: (key: string, now: number) =>
          isSlow
            ? new Promise<SessionRecord | undefined>((resolve) => answers.push(resolve))
            : Promise.resolve(inner.read(key, now)),
      })
      const { watches, announce } = announcing(store)
      const now = Date.now()
      const record = newRecord(now)
      const watcher = new Waiting(record)

      watches.add(watcher)
      announce(record.key)
      t.is(answers.length, 2)
      const answer = async (): Promise<void> => {
        answers[0]?.(Promise.resolve(watcher.record))
        await turn(0)
      }
      if (!isLate) await answer()
      answers[1]?.(Promise.reject(new Error('the store is away')))
      await turn(0)
      if (isLate) await answer()
      isSlow = false

      t.true(await eventually(() => watcher.ended > 0))
      watches.close()
    },
  )

test.serial('a clock that fails for a moment ends neither the process nor the wait', async (t) => {
  let failures = 0
  let clock = (): number => 1000
  const settings = settingsOf({ keys: ['a secret of more than sixteen characters'], now: () => clock() })
  const store = new MemoryStore()
  const checked = new CheckedStore(store, 2000, new Events(undefined))
  const watches = new Watches({ store: checked, payload: new Payload(jsonCodec(1000), 65_536, undefined), settings })
  const watcher = new Waiting(newRecord(1000, { expiresAt: 2000 }))
  store.create(watcher.record, 1000)
  watches.add(watcher)

  clock = () => {
    failures++
    throw new Error('no clock here')
  }
  t.true(await eventually(() => failures > 0))
  clock = () => 2000

  t.true(await eventually(() => watcher.ended > 0))
  watches.close()
})

test.serial('after close() no session is looked at any more, however many were to be', async (t) => {
  let announce: (key: string | undefined) => void = () => undefined
  class Announcing extends CountingStore {
    override subscribe(onEnd: (key: string | undefined) => void): () => void {
      announce = onEnd
      return super.subscribe(onEnd)
    }
  }
  const store = new Announcing()
  const settings = settingsOf({ keys: ['a secret of more than sixteen characters'] })
  const checked = new CheckedStore(store, 2000, new Events(undefined))
  const watches = new Watches({ store: checked, payload: new Payload(jsonCodec(1000), 65_536, undefined), settings })
  const now = Date.now()
  for (let at = 0; at < 100; at++) {
    const watcher = new Waiting(newRecord(now))
    store.create(watcher.record, now)
    watches.add(watcher)
  }
  await turn(0)
  store.reads = 0

  announce(undefined)
  watches.close()
  await turn(50)

  t.true(store.reads <= 16, `${store.reads} reads`)
})
