// session.data against a plain object, over everything that happens to it in a request: writes, deletes, replacement, stores of
// this request, of others, and reloads.
import assert from 'node:assert/strict'
import test from 'ava'
import fc from 'fast-check'
import { ABSENT, type Changes, type Snapshot } from '../../../src/record/changes.ts'
import { jsonCodec, koaJsonCodec, type Codec } from '../../../src/record/codec.ts'
import { Data } from '../../../src/session/data.ts'
import { OPEN } from '../../support/data.ts'
import { counterexample } from '../../support/holds.ts'

type Loose = Record<string, unknown>

const key = fc.constantFrom('a', 'b', '7', '__proto__', 'toString', 'constructor')
const value = fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constant(null), fc.array(fc.integer({ min: 0, max: 1 })))
const step = fc.oneof(
  fc.record({ do: fc.constantFrom('set' as const, 'delete' as const, 'push' as const, 'nest' as const), key, value }),
  fc.record({ do: fc.constantFrom('replace' as const, 'assign' as const), key, value }),
  fc.record({ do: fc.constantFrom('save' as const, 'update' as const, 'reload' as const), key, value }),
)
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

function put(target: Loose, name: string, given: unknown): void {
  Object.defineProperty(target, name, { value: given, writable: true, enumerable: true, configurable: true })
}

function applied(snapshot: Snapshot, changes: Changes): Snapshot {
  const next: Loose = {}
  for (const [name, stored] of Object.entries(snapshot)) put(next, name, stored)
  for (const { key: name, value: wanted } of changes) {
    if (wanted === ABSENT) Reflect.deleteProperty(next, name)
    else put(next, name, wanted)
  }
  return next
}

/** What another process would read. */
const reread = (value: unknown): Loose => JSON.parse(JSON.stringify(value)) as Loose
const own = (target: Loose, name: string): unknown => (Object.hasOwn(target, name) ? target[name] : undefined)
const sorted = (target: object): unknown => Object.entries(target).sort(([one], [other]) => (one < other ? -1 : 1))

/** A handler's step on an object, be it data or a plain one. */
function act(target: Loose, { do: what, key: name, value: given }: Step, replace: (contents: Loose) => void): void {
  const copy = structuredClone(given)
  const there = own(target, name)
  if (what === 'set') put(target, name, copy)
  else if (what === 'delete') Reflect.deleteProperty(target, name)
  else if (what === 'push' && Array.isArray(there)) there.push(7)
  else if (what === 'nest' && Object.hasOwn(target, name)) put(target, 'b', { in: [there] })
  else if (what === 'assign') put(target, 'a', there ?? null)
  else if (what === 'replace') {
    replace(Object.fromEntries([...Object.entries(target).filter(([one]) => one !== 'a'), [name, copy]]))
  }
}

/** What a session goes through in one request, beside a plain object that goes through the same. */
class Pair {
  stored: Snapshot
  model: Loose
  readonly data: Data
  readonly held: object[] = []

  constructor(start: Loose, codec: Codec) {
    this.stored = reread(start)
    this.model = reread(start)
    this.data = new Data(this.stored, codec, OPEN)
  }

  get proxy(): Loose {
    return this.data.proxy as Loose
  }

  step(one: Step): void {
    if (one.do === 'save' || one.do === 'update') this.#store(one.do === 'save')
    else if (one.do === 'reload') {
      this.data.reset(this.stored)
      this.model = reread(this.stored)
    } else {
      act(this.proxy, one, (contents) => this.data.replaceAll(contents))
      act(this.model, one, (contents) => {
        this.model = contents
      })
    }
    for (const each of Object.values(this.proxy)) if (typeof each === 'object' && each !== null) this.held.push(each)
  }

  #store(isAttached: boolean): void {
    const changes = this.data.changes()
    this.stored = reread(applied(this.stored, changes))
    if (isAttached) this.data.settle(this.stored, changes)
    else {
      this.data.detach(this.stored, changes)
      assert.deepStrictEqual(sorted(this.proxy), sorted(reread(this.model)))
      // Parts that two keys share are apart now where they were ours, and shared still where they are the app's.
      this.model = structuredClone({ ...this.proxy })
    }
  }
}

for (const [name, codec] of [
  ['JSON', jsonCodec(1000)],
  ["koa-session's JSON", koaJsonCodec(1000)],
] as const) {
  test(`over ${name} data goes through a request as a plain object does, and stores what that holds`, (t) => {
    const agrees = (start: Loose, steps: readonly Step[]): boolean => {
      const pair = new Pair(start, codec)
      for (const one of steps) {
        pair.step(one)
        assert.deepStrictEqual(sorted(pair.proxy), sorted(pair.model))
        assert.equal(JSON.stringify(pair.proxy), JSON.stringify({ ...pair.proxy }))
        const next = applied(pair.stored, pair.data.changes())
        assert.deepStrictEqual(sorted(reread(next)), sorted(reread(pair.model)))
        assert.deepStrictEqual(Object.keys(next), Object.keys(pair.proxy))
        assert.equal(pair.data.isEmpty, Object.keys(pair.model).length === 0)
      }
      return true
    }
    const start = fc.dictionary(key, value, { noNullPrototype: true })

    t.is(counterexample(fc.property(start, fc.array(step, { maxLength: 12 }), agrees), 3000), undefined)
  })
}

test('whatever was handed out, writing to it after the commit throws, unless the app made it', (t) => {
  const agrees = (start: Loose, steps: readonly Step[]): boolean => {
    const made = new WeakSet<object>()
    const pair = new Pair(start, {
      ...jsonCodec(1000),
      lend: (stored, lent) => {
        const list: object[] = []
        const copy = jsonCodec(1000).lend(stored, list)
        for (const one of list) made.add(one)
        lent.push(...list)
        return copy
      },
    })
    for (const one of steps) pair.step(one)
    pair.data.freeze()
    for (const one of pair.held) assert.equal(Object.isFrozen(one), made.has(one))
    return true
  }
  const start = fc.dictionary(key, value, { noNullPrototype: true })

  t.is(counterexample(fc.property(start, fc.array(step, { maxLength: 12 }), agrees), 3000), undefined)
})

const MANY = 10_000
const many = (): Loose => Object.fromEntries(Array.from({ length: MANY }, (_, n) => [`k${n}`, { n }]))

test('ten thousand keys are read, written, deleted, replaced, stored and detached in time', (t) => {
  const start = process.cpuUsage()
  const pair = new Pair(many(), jsonCodec(1_000_000))
  const { proxy, data } = pair
  for (let n = 0; n < MANY; n++) (proxy[`k${n}`] as { n: number }).n++
  t.is(data.changes().length, MANY)
  for (let n = 0; n < MANY; n += 2) Reflect.deleteProperty(proxy, `k${n}`)
  for (let n = 0; n < MANY; n++) proxy[`new${n}`] = n
  t.is(Object.keys(proxy).length, MANY * 1.5)
  data.replaceAll({ ...proxy, last: 1 })
  pair.model = { ...proxy }
  pair.step({ do: 'update', key: 'a', value: 1 })
  t.is(data.changes().length, 0)
  t.deepEqual(Object.keys(proxy).length, MANY * 1.5 + 1)
  data.freeze()

  // Its own time, whatever else the machine does.
  const { user, system } = process.cpuUsage(start)
  t.true(user + system < 5_000_000, `${(user + system) / 1000} ms`)
})

test('one key of ten thousand costs no look at the others', (t) => {
  const stored = many()
  let copied = 0
  const json = jsonCodec(1_000_000)
  const data = new Data(
    stored,
    {
      ...json,
      lend: (value, made) => (copied++, json.lend(value, made)),
      same: (...two) => (copied++, json.same(...two)),
    },
    OPEN,
  )
  const proxy = data.proxy as Record<string, { n: number }>
  if (proxy['k5000'] !== undefined) proxy['k5000'].n = -1

  t.deepEqual(
    data.changes().map(({ key: name }) => name),
    ['k5000'],
  )
  t.is(copied, 2)
})
