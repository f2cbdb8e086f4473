// A cookie of our name that is none of ours (of another app on the parent domain, planted by a sub-domain, of a secret that is gone)
// keeps nobody from being taken over. Who leaves it out is taken over anyway, so it protects nothing.
import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { ada, after } from '../support/deployed.ts'
import { inCookie, OldStore, signed } from '../support/old-sessions.ts'

const forged = `sid=${'A'.repeat(32)}.${'A'.repeat(43)}`

for (const overlap of [0, '1d'] as const)
  for (const foreign of ['sid=of-another-app', forged])
    for (const isStored of [true, false])
      test(`with overlap ${overlap}, beside ${foreign.slice(0, 16)} an old session goes on, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
        const from = fromKoaSession(isStored ? { store: new OldStore(ada()) } : {})
        const app = await after(t, from, {}, { overlap })
        const old = isStored ? signed('k1') : inCookie({ user: 'ada', cart: ['book'] })

        t.is((await app.browser().send('/', `${foreign}; ${old}`)).body, 'ada {"cart":["book"]}')
      })
