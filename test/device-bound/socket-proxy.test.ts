// A proxy that ends TLS (Traefik) calls the protocol of a WebSocket wss: its request came over HTTPS.
import test from 'ava'
import { boundDevice, boundSite, MINUTE, seen } from '../support/bound-site.ts'

test('behind a proxy that says wss, a request with its proof is that of its device', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  site.clock.now += 2 * MINUTE

  for (const [protocol, origin] of [
    ['https', 'resumed'],
    ['wss', 'resumed'],
    ['ws', 'unbound'],
    ['http', 'unbound'],
  ] as const)
    t.is(seen(await device.get('/', { 'x-forwarded-proto': protocol })).origin, origin, protocol)
})
