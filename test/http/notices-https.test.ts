// A cookie whose domain is not the host's is kept by no browser, over https either.
import test from 'ava'
import { ask, mounted } from '../support/mounted.ts'
import { settle, warnings } from '../support/warnings.ts'
import type { CookieOptions } from '../../src/index.ts'

const begin = { '/': ({ data }: { data: { n?: number } }) => (data.n = 1) }
const REFUSED = 'KOA_FASTSESSION_COOKIE_REFUSED'
const cookies: readonly [string, CookieOptions, string[]][] = [
  ['a foreign domain', { domain: 'other.example' }, [REFUSED]],
  ['a foreign domain, marked Secure', { domain: 'other.example', secure: true }, [REFUSED]],
  ['the own domain', { domain: 'app.example' }, []],
  ['no domain', {}, []],
  ['no domain, marked Secure', { name: '__Host-sid', secure: true }, []],
]

for (const [what, cookie, codes] of cookies)
  test.serial(
    `over https a cookie with ${what} is ${codes.length > 0 ? '' : 'not '}told as one that no browser keeps`,
    async (t) => {
      const seen = warnings(t)
      const app = await mounted(t, { cookie }, begin)
      app.app.proxy = true
      for (let turn = 0; turn < 2; turn++) await ask(app.url, { host: 'app.example', 'x-forwarded-proto': 'https' })
      await settle()

      t.deepEqual(
        seen.map(({ code }) => code),
        codes,
      )
    },
  )

test.serial(
  'over TLS without a proxy a cookie that is marked Secure is not told as one that no browser keeps',
  async (t) => {
    const seen = warnings(t)
    const { server, url } = await mounted(t, { cookie: { secure: true } }, begin)
    // As on a socket of TLS. A client such as curl sends no Fetch Metadata.
    server.on('connection', (socket) => Object.assign(socket, { encrypted: true }))
    await ask(url, { host: 'app.example' })
    await settle()

    t.deepEqual(seen, [])
  },
)
