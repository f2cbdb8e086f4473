// Docs: it needs `ctx.secure` to be true. An app may say so by itself where its proxy sends no X-Forwarded-Proto.
import test from 'ava'
import { boundDevice, boundSite, MINUTE, seen } from '../support/bound-site.ts'

test('a request with its proof is that of its device where the app itself makes ctx.secure true', async (t) => {
  const site = await boundSite(t, {
    skip: ({ request }) => (Object.defineProperty(request, 'secure', { value: true }), false),
  })
  const device = await boundDevice(site)
  site.clock.now += 2 * MINUTE

  t.is(seen(await device.get('/', { 'x-forwarded-proto': 'http' })).origin, 'resumed')
})
