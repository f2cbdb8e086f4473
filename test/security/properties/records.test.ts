// What may lie in a store: everything. Whoever can write there, or whatever fault did, a request is answered: with the
// session, with a fresh one, or with 503. Never with 500, never by running anything, and never past one session.
import test from 'ava'
import fc from 'fast-check'
import { MemoryStore, type SessionRecord } from '../../../src/index.ts'
import { Payload } from '../../../src/record/payload.ts'
import { jsonCodec } from '../../../src/record/codec.ts'
import { cookieOf, quick, type Quick } from '../../support/quick.ts'

/** Of what is drawn at random here; a failure is repeated with it. */
const SEED = 8259

const SECRET = 'an encryption secret of some length'

/** A store that hands out one record of this test's making, whatever was written, and takes every write. */
class Damaged extends MemoryStore {
  damage: unknown = undefined

  override read(key: string, now: number): SessionRecord | undefined {
    const record = super.read(key, now)
    if (this.damage === undefined || record === undefined) return record
    const damage =
      typeof this.damage === 'function' ? (this.damage as (record: SessionRecord) => unknown)(record) : this.damage
    return damage as SessionRecord
  }
}

interface Stage {
  readonly app: Quick
  readonly store: Damaged
  readonly cookie: string
}

async function stage(options: object = {}): Promise<Stage> {
  const store = new Damaged()
  const app = quick({ store, storeTimeout: 100, ...options })
  const cookie = cookieOf(await app.ask(undefined, (session) => session.signIn('ada')))
  return { app, store, cookie }
}

/** Whether anything in it has another prototype than what JSON makes. */
function hasForeignPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (
    prototype !== (Array.isArray(value) ? Array.prototype : Object.prototype) ||
    Object.values(value).some(hasForeignPrototype)
  )
}

/** Uses the session as an app does, twice; tells what was wrong with that. */
async function trouble({ app, store, cookie }: Stage, damage: unknown): Promise<string | undefined> {
  store.damage = damage
  app.errors.length = 0
  let fresh = ''
  try {
    const looked = await app.ask(cookie, ({ data, origin, ...session }) => ({
      origin,
      keys: Object.keys(data),
      isPolluted: 'polluted' in {} || hasForeignPrototype({ ...data }),
      session: JSON.stringify(session),
    }))
    if (looked.status !== 200) return `a look is ${looked.status}: ${String(app.errors[0])}`
    if (looked.result?.isPolluted !== false) return 'a prototype is not what it should be'
    const changed = await app.ask(cookie, async (session) => {
      session.data['fresh'] = 1
      session.flash('info')
      await session.save()
    })
    // A change may find the record damaged after it has read it: then it is gone.
    if (changed.status !== 200 && changed.status !== 409)
      return `a change is ${changed.status}: ${String(app.errors[0])}`
    fresh = cookieOf(changed)
    const out = await app.ask(cookie, (session) => session.destroy())
    if (out.status !== 200) return `a logout is ${out.status}: ${String(app.errors[0])}`
    await app.middleware.list('ada')
    await app.middleware.destroyAll('somebody else')
  } finally {
    store.damage = undefined
  }
  // The same id again is the damaged session itself, renewed: notes that can be read are believed.
  if (fresh !== '' && fresh !== cookie && (await app.ask(fresh, ({ data }) => data['fresh'])).result !== 1)
    return 'the fresh session does not go on'
  return undefined
}

/** JSON that is no data, that is data of other kinds, or that has keys which reach prototypes. */
const hostileJson = fc
  .letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom(null, true, 1e308, -0, '', '__proto__', 'constructor'),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        fc.oneof(
          fc.constantFrom(
            '__proto__',
            'constructor',
            'prototype',
            'toString',
            'toJSON',
            'valueOf',
            'hasOwnProperty',
            'then',
            'length',
            '',
            '0',
          ),
          fc.string({ maxLength: 5 }),
        ),
        tie('value'),
        { maxKeys: 4 },
      ),
    ),
  }))
  .value.map((value) => JSON.stringify(value))

const flashy = fc
  .tuple(hostileJson, hostileJson, hostileJson)
  .map(([data, key, value]) => `[${data},[["tag",${key},${value}],["info","info",{"__proto__":{"polluted":1}}]]]`)

const texts = fc.oneof(
  hostileJson,
  flashy,
  fc.string({ maxLength: 50 }),
  fc.tuple(hostileJson, fc.nat(40)).map(([text, cut]) => text.slice(0, cut)),
  fc.constantFrom(
    '{"__proto__":{"polluted":true}}',
    '{"constructor":{"prototype":{"polluted":true}}}',
    '{"a":{"__proto__":{"polluted":true}}}',
    '[]',
    '[{}]',
    '[{},{}]',
    '[{},[[1,2,3]]]',
    '[[{}]]',
    '{"rce":"_$$ND_FUNC$$_function(){globalThis.polluted=1}()"}',
    '{"then":{}}',
    '{"toJSON":"x"}',
    `{"a":${'['.repeat(100_000)}`,
    `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
    `{"a":${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}}`,
    `{"a":"${'x'.repeat(5_000_000)}"}`,
    '\u0000',
    '\ud800',
    '{"a":1e999}',
    '{"a":-1e999}',
    '{"\ud800":1}',
  ),
)

for (const [what, options] of Object.entries({ 'in the clear': {}, 'with encryption': { encryptionKeys: [SECRET] } })) {
  test(`whatever text or bytes a payload is (${what}), each request is answered and no prototype is reached`, async (t) => {
    t.timeout(120_000)
    const payloads = fc.oneof(
      { weight: 4, arbitrary: texts },
      fc.uint8Array({ maxLength: 120 }),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Uint8Array.of(1, 2, 3, 4, 5, 6, 7, ...bytes)),
    )
    const drawn = fc.sample(payloads, { numRuns: 1500, seed: SEED })
    for (const payload of drawn) {
      const scene = await stage(options)
      const locked = payload instanceof Uint8Array && payload[0] === 1 && payload.length > 6
      const found = await trouble(scene, (record: SessionRecord) =>
        record.payload === '' ? record : { ...record, payload },
      )
      // A payload that names a key which is not configured is an outage, by contract.
      if (locked && found?.startsWith('a look is 503') === true) continue
      t.is(found, undefined, JSON.stringify(payload).slice(0, 300))
    }
  })
}

test('whatever is sealed under our own key, each request is answered and no prototype is reached', async (t) => {
  t.timeout(120_000)
  const payload = new Payload(
    { ...jsonCodec(1_000_000), stringifyContents: ({ text }) => text as string },
    100_000_000,
    { keys: [SECRET], encrypt: true, acceptPlain: false, onUnknownKey: 'fail' },
  )
  for (const text of fc.sample(texts, { numRuns: 500, seed: SEED + 1 })) {
    const scene = await stage({ encryptionKeys: [SECRET] })
    const seal = (record: SessionRecord): SessionRecord => ({
      ...record,
      payload: payload.encode({ data: { text }, flash: [], device: undefined }, record),
    })
    t.is(
      await trouble(scene, (record: SessionRecord) => (record.payload.length === 0 ? record : seal(record))),
      undefined,
      text.slice(0, 300),
    )
  }
})

const FIELDS: readonly (keyof SessionRecord)[] = [
  'key',
  'version',
  'payload',
  'owner',
  'createdAt',
  'lastSeenAt',
  'expiresAt',
  'meta',
]

const wrong: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 60,
  1n,
  '',
  'x',
  '5',
  '\ud800',
  Symbol('s'),
  [],
  [1],
  {},
  { length: 3 },
  { then: 1 },
  new Date(0),
  new Map(),
  new Uint8Array(3),
  new ArrayBuffer(3),
  () => 'x',
  JSON.parse('{"__proto__":{"polluted":1}}'),
]

for (const field of FIELDS) {
  test(`whatever the ${field} of a record is, each request is answered`, async (t) => {
    for (const value of wrong) {
      // A whole number is a version; a store that always tells another than it compares with is no damage, but a lie.
      if (field === 'version' && Number.isSafeInteger(value)) continue
      const scene = await stage()
      t.is(
        await trouble(scene, (record: SessionRecord) => ({ ...record, [field]: value })),
        undefined,
        `${field}: ${typeof value} ${typeof value === 'symbol' ? '' : JSON.stringify(String(value))}`,
      )
    }
    t.is(
      await trouble(await stage(), (record: SessionRecord) =>
        Object.fromEntries(Object.entries(record).filter(([name]) => name !== field)),
      ),
      undefined,
      'left out',
    )
  })
}

test('whatever a store hands out in the place of a record, each request is answered', async (t) => {
  for (const value of wrong) {
    const found = await trouble(await stage(), () => value)
    // An answer of another type is a failure of the store, never "no session".
    if (found?.startsWith('a look is 503: SessionError: the session store failed at read: it must answer') === true)
      continue
    t.is(found, undefined, typeof value)
  }
})

test('whatever the notes of a record say, each request is answered', async (t) => {
  const notes = fc.oneof(
    hostileJson,
    fc
      .dictionary(
        fc.constantFrom('a', 's', 'm', 'c', 'n'),
        fc.constantFrom<unknown>(0, -1, 1, 1e20, 0.5, null, '', 'x', true, [], {}),
      )
      .map((value) => JSON.stringify(value)),
    fc.constantFrom('{"m":1e999}', '{"s":-1e999,"m":1e999}', '{"a":1e999}', '{"n":"x"}', '5', '"x"', 'null', '[]'),
  )
  for (const meta of fc.sample(notes, { numRuns: 500, seed: SEED + 2 })) {
    t.is(await trouble(await stage(), (record: SessionRecord) => ({ ...record, meta })), undefined, meta)
    t.is(
      await trouble(await stage({ maxAge: '1h', rolling: true }), (record: SessionRecord) => ({ ...record, meta })),
      undefined,
      `rolling, ${meta}`,
    )
  }
})

test('a tombstone that names anything is followed to its end', async (t) => {
  const tombstone =
    (successor: unknown) =>
    (record: SessionRecord): SessionRecord => ({ ...record, payload: '', meta: JSON.stringify({ n: successor }) })
  for (const successor of ['', 'x', 5, null, {}, '__proto__'])
    t.is(await trouble(await stage(), tombstone(successor)), undefined, JSON.stringify(successor))
})
