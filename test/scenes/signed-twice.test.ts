// After cookie.domain or cookie.path was changed, a rotation of keys leaves a browser two cookies of one session: the old one, which
// comes first, and the one that was signed anew.
import { claim, pairOf } from '../support/scene.ts'

const BEFORE = ['the first secret of the app']
const AFTER = ['the second secret of it', ...BEFORE]

claim(
  'a browser that keeps its old cookie beside the one that was signed anew gets that one once',
  { keys: BEFORE },
  async (t, { scene, visitor, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const old = await visitor.cookie()
    const deployed = await scene.mount({ keys: AFTER, cookie: { domain: '127.0.0.1' } })
    const { sid } = await deployed.sender(old).does(({ data }) => data.a)
    t.is(sid.length, 1)
    const both = deployed.sender(`${old}; ${pairOf(sid[0])}`)
    store.counted()

    const next = await both.does(({ data }) => data.a)

    t.is(next.result, 1)
    t.deepEqual([next.sid, next.headers.get('cache-control')], [[], null])
    t.deepEqual(store.counted(), { read: 1 })
  },
)
