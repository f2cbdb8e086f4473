// A new signing key: cookies signed with an older one are sent again, once the session is known to live.
import { claim, HOUR, maxAgeOf, MINUTE, pairOf, type Handler, type Scene, type Visitor } from '../support/scene.ts'

const OLD = 'the key of yesterday, long enough for anybody'
const NEW = 'the key of today, which is at least as long as it'

/** With a session of the old key: the same browser at a process that signs with the new key and still knows the old one. */
async function underBothKeys(visitor: Visitor, scene: Scene): Promise<Visitor> {
  await visitor.does(({ data }) => (data.a = 1))
  return (await scene.mount({ keys: [NEW, OLD] })).visitor(await visitor.cookie())
}

claim(
  'a cookie signed with an older key is sent again under the newest, with the same id',
  { keys: [OLD] },
  async (t, { visitor, scene }) => {
    const today = await underBothKeys(visitor, scene)

    const { sid, result } = await today.does(({ data }) => data.a)

    t.deepEqual([result, sid.length], [1, 1])
    t.not(pairOf(sid[0]), await visitor.cookie())
    t.is(pairOf(sid[0]).split('.')[0], (await visitor.cookie()).split('.')[0])
    t.deepEqual((await today.does(({ data }) => data.a)).sid, [])
    const tomorrow = await (await scene.mount({ keys: [NEW] })).visitor(await today.cookie())
    t.is(await tomorrow.origin(), 'resumed')
  },
)

claim(
  'it is sent again also when the handler does not look at the session',
  { keys: [OLD] },
  async (t, { visitor, scene }) => {
    const today = await underBothKeys(visitor, scene)

    t.is((await today.does(() => undefined)).sid.length, 1)
  },
)

claim(
  'a re-signed cookie carries what is left of its lifetime',
  { keys: [OLD], maxAge: '1d' },
  async (t, { visitor, scene, clock }) => {
    const today = await underBothKeys(visitor, scene)
    clock.advance(HOUR)

    t.is(maxAgeOf((await today.does(({ data }) => data.a)).sid[0]), 23 * 3600)
  },
)

claim(
  'it is confirmed by one read after the handlers, or by the touch or the write that is due anyway',
  { keys: [OLD] },
  async (t, { visitor, scene, clock, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const site = await scene.mount({ keys: [NEW, OLD] })
    const cookie = await visitor.cookie()
    store.counted()

    await (await site.visitor(cookie)).does(({ data }) => data.a)
    t.deepEqual(store.counted(), { read: 2 })
    await (await site.visitor(cookie)).does(({ data }) => (data.a = 2))
    t.deepEqual(store.counted(), { read: 1, replace: 1 })
    clock.advance(30 * MINUTE)
    await (await site.visitor(cookie)).does(({ data }) => data.a)
    t.deepEqual(store.counted(), { read: 1, touch: 1 })
  },
)

const ends = {
  'was destroyed': (session) => session.destroy(),
  'got a new id': (session) => session.regenerate(),
} satisfies Record<string, Handler<void>>

for (const [what, end] of Object.entries(ends)) {
  claim(`it is not sent again for a session that ${what} meanwhile`, { keys: [OLD] }, async (t, { visitor, scene }) => {
    const today = await underBothKeys(visitor, scene)

    const slow = await today.starts(async ({ data }, wait) => {
      await wait()
      return data.a
    })
    await visitor.does(end)

    const { status, sid } = await slow.ends()
    t.deepEqual([status, sid], [200, []])
  })
}

claim(
  'a store that fails to confirm spoils no response, and the cookie stays as it is',
  { keys: [OLD] },
  async (t, { visitor, scene, store }) => {
    const today = await underBothKeys(visitor, scene)

    const { status, sid } = await today.does(({ data }) => {
      store.next('read', { kind: 'fail' })
      return data.a
    })

    t.deepEqual([status, sid], [200, []])
    t.is((await today.does(({ data }) => data.a)).sid.length, 1)
  },
)

claim(
  'a cookie whose key was retired is invalid, and the store is not asked',
  { keys: [OLD] },
  async (t, { visitor, scene, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const later = await (await scene.mount({ keys: [NEW] })).visitor(await visitor.cookie())
    store.counted()

    t.is(await later.origin(), 'invalid')
    t.deepEqual(store.counted(), {})
  },
)

claim(
  'an old key and a regenerate give one cookie, signed with the newest',
  { keys: [OLD] },
  async (t, { visitor, scene }) => {
    const today = await underBothKeys(visitor, scene)

    t.is((await today.does((session) => session.regenerate())).sid.length, 1)
    t.is(await (await (await scene.mount({ keys: [NEW] })).visitor(await today.cookie())).origin(), 'resumed')
  },
)
