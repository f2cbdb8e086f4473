// Objects that session.data handed out stay its own wherever the app puts them: what is written to them later is stored or throws.
import test from 'ava'
import * as devalue from 'devalue'
import { customCodec } from '../../src/record/codec.ts'
import type { Data } from '../../src/session/data.ts'
import { applyAll, dataOf, json, OPEN, wanted, type Loose } from '../support/data.ts'

/** Writes as strict code does; what is thrown, or `undefined`. */
const thrownBy = (write: () => unknown): unknown => {
  try {
    return void write()
  } catch (error) {
    return error
  }
}

const putBack: Readonly<Record<string, (data: Data, view: Loose) => void>> = {
  'left alone': () => undefined,
  'spread into new data': (data, view) => data.replaceAll({ ...view, step: 2 }),
  'replaced by themselves': (data, view) => data.replaceAll(view),
  'assigned one by one': (_data, view) => Object.assign(view, { ...view }),
  'kept under another name': (_data, view) => {
    view['basket'] = view['cart']
    delete view['cart']
  },
  "kept in an object of the app's own": (_data, view) => (view['order'] = { items: [view['cart']] }),
}

for (const [how, put] of Object.entries(putBack)) {
  const held = (): { data: Data; cart: { items: string[] } } => {
    const { data, view } = dataOf({ cart: { items: ['book'] } })
    const cart = view['cart'] as { items: string[] }
    put(data, view)
    return { data, cart }
  }

  test(`objects that data handed out are read-only after the commit: ${how}`, (t) => {
    const { data, cart } = held()
    t.is(cart.items.push('pen'), 2)
    data.freeze()

    t.true(thrownBy(() => cart.items.push('late')) instanceof TypeError)
    t.true(thrownBy(() => Object.assign(cart, { late: 1 })) instanceof TypeError)
  })

  test(`objects that data handed out are read-only after a reload: ${how}`, (t) => {
    const { data, cart } = held()
    data.reset({ cart: { items: [] } })

    t.true(thrownBy(() => cart.items.push('late')) instanceof TypeError)
  })

  test(`a write to objects that data handed out is stored or throws after an update: ${how}`, (t) => {
    const { data, cart } = held()
    const changes = data.changes()
    data.detach({ ...applyAll({ cart: { items: ['book'] } }, changes) }, changes)

    const isRefused = thrownBy(() => cart.items.push('late')) instanceof TypeError
    t.is(JSON.stringify(data.changes()).includes('late'), !isRefused)
  })
}

test('objects of one key that were detached stay so when another key keeps its object', (t) => {
  const snapshot = { one: { n: [1] }, two: { n: [2] } }
  const { data, view } = dataOf(snapshot)
  const { one, two } = view as typeof snapshot
  two.n.push(3)
  const wantedFirst = data.changes()
  two.n.push(4)
  data.detach(applyAll(snapshot, wantedFirst), wantedFirst)

  t.true(thrownBy(() => one.n.push(5)) instanceof TypeError)
  t.is(two.n.push(6), 4)
  t.deepEqual(wanted({ data }), { two: { n: [2, 3, 4, 6] } })
})

test('a map, a set and a date of a codec are read-only after the commit, inside one another too', (t) => {
  const { data, view } = dataOf(
    { all: { map: new Map([['in', new Set([1])]]), when: new Date(0) } },
    customCodec(devalue),
  )
  const { map, when } = view['all'] as { map: Map<string, Set<number>>; when: Date }
  const set = map.get('in')
  map.set('other', new Set())
  data.freeze()

  for (const write of [() => map.set('x', new Set()), () => map.clear(), () => set?.add(2), () => when.setTime(1)])
    t.true(thrownBy(write) instanceof TypeError)
  t.deepEqual([...map.keys(), when.getTime(), set?.size], ['in', 'other', 0, 1])
})

for (const phase of ['sealed', 'closed'] as const) {
  test(`data that is made when its session is ${phase} hands out frozen objects`, (t) => {
    const { view } = dataOf({ cart: { items: ['book'] } }, json, { ...OPEN, phase })
    const { items } = view['cart'] as { items: string[] }

    t.throws(() => items.push('late'), { instanceOf: TypeError })
  })
}

for (const name of ['set', 'getOrInsert', 'getOrInsertComputed'] as const)
  // Node 26 has the last two.
  test(`${name} of a Map that was handed out throws after the commit`, (t) => {
    const { data, view } = dataOf({ map: new Map([['a', 1]]) }, customCodec(devalue))
    const map = view['map'] as Map<string, unknown> & Record<typeof name, (key: string, value: unknown) => unknown>
    data.freeze()

    t.throws(() => map[name]('b', () => 2), { instanceOf: TypeError, message: /read-only/ })
    t.deepEqual([...map], [['a', 1]])
  })
