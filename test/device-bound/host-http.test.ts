// Chromium refuses the instruction for a cookie called __Host-Http- (InvalidCredentialsCookie) after it has registered: bound by then,
// its session would be a visitor's as soon as the first proof is over, after each sign-in.
import test from 'ava'
import { boundSite, MINUTE, seen } from '../support/bound-site.ts'
import { offerIn } from '../support/device.ts'

for (const name of ['__Host-Http-sid', '__host-http-sid'])
  test.serial(`a session whose cookie is called ${name} is offered no registration, and goes on`, async (t) => {
    const warnings: string[] = []
    const logger = { warn: (text: string) => void warnings.push(text) }
    const site = await boundSite(t, { cookie: { name }, logger })
    const device = site.device()

    t.is(offerIn(await device.get('/in')), undefined)

    t.is(warnings.filter((text) => text.includes('options.deviceBound has no effect')).length, 1)
    site.clock.now += 11 * MINUTE
    t.like(seen(await device.get('/')), { origin: 'resumed', owner: 'ada', isBound: false })
  })

for (const name of ['__Host-sid', '__Http-sid', '__Secure-sid'])
  test.serial(`a session whose cookie is called ${name} is offered one`, async (t) => {
    const site = await boundSite(t, { cookie: { name } })
    t.truthy(offerIn(await site.device().get('/in')))
  })
