// MemoryStore against the plainest store: random operations at random instants, which need not even ascend.
import test from 'ava'
import fc from 'fast-check'
import { MemoryStore } from '../../src/stores/memory.ts'
import type { KeyPage, RecordPage, SessionStore } from '../../src/store.ts'
import { PlainStore } from '../support/plain-store.ts'

// Few keys, owners and instants, so that operations meet; keys of one and of several parts.
const KEYS = ['aaa', 'aab', 'aac', 'zzz', 'zzy', 'b'].map((start) => start.padEnd(43, '_'))
const instant = fc.integer({ min: 0, max: 20 })
const someKey = fc.constantFrom(...KEYS)
const someRecord = fc
  .record({
    key: someKey,
    version: fc.integer({ min: 1, max: 4 }),
    payload: fc.oneof(fc.string({ maxLength: 8 }), fc.uint8Array({ maxLength: 4 })),
    owner: fc.constantFrom(undefined, 'ada', 'bob'),
    createdAt: instant,
    lastSeenAt: instant,
    expiresAt: instant,
    meta: fc.constantFrom(undefined, 'm'),
  })
  .chain((made) => fc.boolean().map((frozen) => (frozen ? Object.freeze(made) : made)))

type Step = (store: SessionStore) => unknown

/** All portions of a verb, in one order for both stores. */
async function all<Item>(
  ask: (cursor: string | undefined) => unknown,
  itemsOf: (portion: Partial<RecordPage & KeyPage>) => readonly Item[] | undefined,
): Promise<Item[]> {
  const items: Item[] = []
  let cursor: string | undefined
  do {
    // What both stores give: the model's answers are checked by the conformance kit.
    const portion = (await ask(cursor)) as Partial<RecordPage & KeyPage>
    items.push(...(itemsOf(portion) ?? []))
    cursor = portion.cursor
  } while (cursor !== undefined)
  return items.sort((first, second) => (JSON.stringify(first) < JSON.stringify(second) ? -1 : 1))
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(someRecord, instant).map(
        ([made, now]): Step =>
          (store) =>
            store.create(made, now),
      ),
    },
    {
      weight: 4,
      arbitrary: fc.tuple(someRecord, fc.integer({ min: 1, max: 4 }), instant).map(
        ([made, version, now]): Step =>
          (store) =>
            store.replace(made, version, now),
      ),
    },
    {
      weight: 4,
      arbitrary: fc.tuple(someKey, instant).map(
        ([key, now]): Step =>
          (store) =>
            store.read(key, now),
      ),
    },
    {
      weight: 4,
      arbitrary: fc.tuple(someKey, fc.integer({ min: 1, max: 4 }), instant, instant, instant).map(
        ([key, version, seen, expires, now]): Step =>
          (store) =>
            store.touch(key, version, seen, expires, now),
      ),
    },
    {
      weight: 1,
      arbitrary: someKey.map(
        (key): Step =>
          (store) =>
            store.delete(key),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom('ada', 'bob', 'eve'), instant, fc.integer({ min: 1, max: 4 })).map(
        ([owner, now, limit]): Step =>
          (store) =>
            all(
              (cursor) => store.list?.(owner, now, limit, cursor),
              ({ records }) => records,
            ),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constantFrom('ada', 'bob', 'eve'), instant, fc.integer({ min: 1, max: 4 })).map(
        ([owner, now, limit]): Step =>
          (store) =>
            all(
              (cursor) => store.listKeys?.(owner, now, limit, cursor),
              ({ keys }) => keys,
            ),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(instant, fc.integer({ min: 1, max: 4 })).map(
        ([now, limit]): Step =>
          (store) =>
            all(
              (cursor) => store.scan?.(now, limit, cursor),
              ({ records }) => records,
            ),
      ),
    },
    // With a limit, which of the expired go first is the store's own choice.
    {
      weight: 1,
      arbitrary: instant.map(
        (now): Step =>
          (store) =>
            store.deleteExpired?.(now, 1000),
      ),
    },
  ),
  { maxLength: 60 },
)

/** Equal but for an absent meta. */
function same(first: unknown, second: unknown): boolean {
  const plain = (value: unknown) =>
    JSON.stringify(value, (name, inner: unknown) => (inner instanceof Uint8Array ? { bytes: [...inner] } : inner))
  return plain(first) === plain(second)
}

test('whatever is asked in whatever order, it answers as the plainest store does', (t) => {
  return t.notThrowsAsync(
    fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(1000, 2_000_000), async (all, maxSessions) => {
        const [store, model] = [new MemoryStore({ maxSessions }), new PlainStore()]
        const ends: [unknown[], unknown[]] = [[], []]
        store.subscribe((key) => ends[0].push(key))
        model.subscribe((key) => ends[1].push(key))
        for (const step of all) {
          const answers = [await step(store), await step(model)]
          if (!same(answers[0], answers[1]))
            throw new Error(`${JSON.stringify(answers[0])} is not ${JSON.stringify(answers[1])}`)
        }
        if (!same(ends[0], ends[1])) throw new Error('other ends were announced')
      }),
      { numRuns: 500 },
    ),
  )
})
