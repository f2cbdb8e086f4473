// The advice of the notices on cookies can be followed: after it, the notice is right no more.
import test from 'ava'
import { ask, mounted } from '../support/mounted.ts'
import { settle, warnings } from '../support/warnings.ts'
import type { CookieOptions } from '../../src/index.ts'

const begin = { '/': ({ data }: { data: { n?: number } }) => (data.n = 1) }

for (const [name, value] of [
  ['x-forwarded-ssl', 'on'],
  ['front-end-https', 'on'],
  ['forwarded', 'proto=https'],
] as const)
  test.serial(
    `a proxy that says https by ${name} alone, to an app with proxy: true, is asked for X-Forwarded-Proto`,
    async (t) => {
      const seen = warnings(t)
      const app = await mounted(t, {}, begin)
      app.app.proxy = true // which the notice asks for; Koa looks at X-Forwarded-Proto and at nothing else
      await app.browser().get('/', { headers: { [name]: value } })
      await settle()

      t.is(seen[0]?.code, 'KOA_FASTSESSION_INSECURE_COOKIE')
      t.regex(seen[0]?.message ?? '', /X-Forwarded-Proto/)
    },
  )

const alwaysMarked: Readonly<Record<string, [CookieOptions, RegExp]>> = {
  'a name prefix': [{ name: '__Host-sid', secure: 'auto' }, /prefix/],
  'sameSite none': [{ sameSite: 'none', secure: 'auto' }, /sameSite "none"/],
  partitioned: [{ partitioned: true, secure: 'auto' }, /partitioned/],
}
for (const [what, [cookie, named]] of Object.entries(alwaysMarked))
  test.serial(
    `over plain http, the notice for a cookie with secure auto that is Secure by ${what} names that`,
    async (t) => {
      const seen = warnings(t)
      const app = await mounted(t, { cookie }, begin)
      await ask(app.url, { host: 'app.example' })
      await settle()

      const { code, message = '' } = seen.find((one) => one.code === 'KOA_FASTSESSION_COOKIE_REFUSED') ?? {}
      t.is(code, 'KOA_FASTSESSION_COOKIE_REFUSED')
      t.regex(message, named)
    },
  )
