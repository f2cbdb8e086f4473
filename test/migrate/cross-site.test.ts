// The old cookie was SameSite=None, ours is Lax (the default): a page of another site makes the browser send the old one with a picture
// or a frame, and the browser refuses our Set-Cookie there (RFC 6265bis, 5.7: only a top-level navigation may set a Lax cookie).
import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { ada, after } from '../support/deployed.ts'
import { OldStore, signed } from '../support/old-sessions.ts'

for (const kind of ['image', 'iframe', 'empty'])
  test(`a page of another site signs nobody out with ${kind}: the browser would not take our cookie`, async (t) => {
    let time = Date.now()
    const now = (): number => time
    const app = await after(t, fromKoaSession({ store: new OldStore(ada()) }), { now }, { overlap: 0, now })
    const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': kind }
    const answer = await app.browser().send('/', signed('k1'), { headers })
    t.deepEqual(answer.setCookie, [])
    time += 11_000

    t.is((await app.browser().send('/', signed('k1'))).body, 'ada {"cart":["book"]}')
  })

test('a link of another site takes over as ever', async (t) => {
  const app = await after(t, fromKoaSession({ store: new OldStore(ada()) }), {}, { overlap: 0 })
  const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' }

  t.is((await app.browser().send('/', signed('k1'), { headers })).body, 'ada {"cart":["book"]}')
})
