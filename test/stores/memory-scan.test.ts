// A scan of a MemoryStore comes to each record that lives throughout exactly once, wherever its slot moves meanwhile.
import { randomBytes } from 'node:crypto'
import test from 'ava'
import { MemoryStore } from '../../src/stores/memory.ts'
import { keyed, NOW } from '../support/records.ts'

const newKey = () => randomBytes(32).toString('base64url')

function create(store: MemoryStore, key: string): void {
  store.create(keyed(key), NOW)
}

/** How often each key came; `between` runs after each portion. */
function scan(store: MemoryStore, limit: number, between: (portion: number) => void): Map<string, number> {
  const seen = new Map<string, number>()
  let cursor: string | undefined
  let portion = 0
  do {
    const page = store.scan(NOW, limit, cursor)
    for (const { key } of page.records) seen.set(key, (seen.get(key) ?? 0) + 1)
    cursor = page.cursor
    between(portion++)
  } while (cursor !== undefined)
  return seen
}

const WHILE: Readonly<Record<string, (store: MemoryStore, leaving: string[], portion: number) => void>> = {
  'nothing happens': () => undefined,
  'others come and go': (store, leaving) => {
    for (const key of leaving.splice(0, 20)) store.delete(key)
    for (let index = 0; index < 20; index++) create(store, newKey())
  },
  'most others go at once': (store, leaving, portion) => {
    if (portion === 100) for (const key of leaving.splice(0)) store.delete(key)
  },
  'ten times as many come at once': (store, _leaving, portion) => {
    if (portion === 100) for (let index = 0; index < 100_000; index++) create(store, newKey())
  },
}

for (const [what, between] of Object.entries(WHILE)) {
  test(`while ${what}, a record that lives throughout comes exactly once`, (t) => {
    for (const maxSessions of [32_000, 2_000_000]) {
      const store = new MemoryStore({ maxSessions })
      const keys = Array.from({ length: 10_000 }, newKey)
      for (const key of keys) create(store, key)
      const [staying, leaving] = [
        keys.filter((_, index) => index % 8 === 0),
        keys.filter((_, index) => index % 8 !== 0),
      ]
      // Where a store is full, those that come drive out those that have not been used.
      const use = (portion: number) => {
        if (portion % 50 === 0 || portion > 90) for (const key of staying) store.touch(key, 1, NOW, NOW + 1000, NOW)
      }

      const seen = scan(store, 37, (portion) => {
        use(portion)
        if (maxSessions > 100_000 || !what.startsWith('ten')) between(store, leaving, portion)
      })

      t.deepEqual([...new Set(staying.map((key) => seen.get(key)))], [1])
      t.true(
        [...seen.values()].every((times) => times === 1),
        'no other comes twice either',
      )
    }
  })
}

test('portions stay near their limit, and what has expired is passed over', (t) => {
  const store = new MemoryStore()
  for (let index = 0; index < 20_000; index++)
    store.create(keyed(newKey(), { expiresAt: index % 2 === 0 ? NOW + 1 : NOW + 1000 }), NOW)
  let [found, largest] = [0, 0]
  let cursor: string | undefined
  do {
    const page = store.scan(NOW + 1, 100, cursor)
    found += page.records.length
    largest = Math.max(largest, page.records.length)
    cursor = page.cursor
  } while (cursor !== undefined)

  t.is(found, 10_000)
  t.true(largest <= 200)
})

test('an empty store is scanned in one portion, and a limit that is no number counts as one', (t) => {
  const store = new MemoryStore()
  t.deepEqual(store.scan(NOW, 100, undefined), { records: [], cursor: undefined })
  create(store, newKey())
  for (const limit of [0, -1, NaN]) t.is(scan(store, limit, () => undefined).size, 1)
  t.is(scan(store, Infinity, () => undefined).size, 1)
})

test('a cursor of another store is refused', (t) => {
  const store = new MemoryStore()
  for (const cursor of ['', 'next', '1', '1.', '1.2.3', '-1.0'])
    t.throws(() => store.scan(NOW, 10, cursor), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' })
})
