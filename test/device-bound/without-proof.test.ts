// What a browser without proof leaves behind: the cookies of its bound session, and what its request wrote before a sign-in.
import test from 'ava'
import type { SessionManager } from '../../src/index.ts'
import { boundDevice, boundSite, MINUTE, registeredSite, seen } from '../support/bound-site.ts'

test.serial(
  'with lazy false a look without proof replaces no cookie: the browser proves itself and goes on',
  async (t) => {
    const site = await boundSite(t, { lazy: false })
    const device = await boundDevice(site)
    site.clock.now += 11 * MINUTE

    // Not held back by the browser: another subdomain of cookie.domain, an older tab.
    const look = await device.get('/')

    t.is(seen(look).origin, 'unbound')
    t.deepEqual(look.setCookie, [])
    t.is((await device.refresh()).status, 200)
    t.like(seen(await device.get('/')), { origin: 'resumed', owner: 'ada', isBound: true })
  },
)

interface Things {
  lang?: string
  cart?: string
}

for (const keep of [true, ['lang']] as const)
  test.serial(`a sign-in after a skipped refresh keeps what its request wrote: ${String(keep)}`, async (t) => {
    const { device, clock } = await registeredSite<Things>(t, {}, async (manager, { path }) => {
      if (path === '/again') {
        manager.data.lang = 'en'
        manager.flash('notice', 'welcome')
      }
      if (path !== '/') await manager.signIn('ada', { keep })
      return { lang: manager.data.lang, notices: path === '/' ? manager.flash('notice') : undefined }
    })
    clock.now += 11 * MINUTE

    const again = await device.get('/again', { 'secure-session-skipped': 'unreachable' })

    t.is(again.status, 200)
    t.deepEqual(JSON.parse(again.body), { lang: 'en' })
    t.deepEqual(JSON.parse((await device.get('/')).body), { lang: 'en', notices: ['welcome'] })
  })

for (const koaSession of [false, true])
  for (const [way, work] of Object.entries<(manager: SessionManager<Things>) => Promise<void>>({
    'save()': (manager) => {
      manager.data.lang = 'en'
      return manager.save()
    },
    'update()': (manager) => manager.update((data) => void (data.lang = 'en')),
    'regenerate()': (manager) => manager.regenerate(),
    'regenerate({ keep: false })': (manager) => manager.regenerate({ keep: false }),
    'signIn()': (manager) => manager.signIn('ada'),
  }))
    test.serial(
      `without proof destroy() clears both cookies also after ${way}, koaSession: ${koaSession}`,
      async (t) => {
        const { device, clock, middleware } = await registeredSite<Things>(
          t,
          { koaSession },
          async (manager, { path }) => {
            if (path === '/in') await manager.signIn('ada')
            if (path !== '/out') return { origin: manager.origin }
            await work(manager)
            await manager.destroy()
            return {}
          },
        )
        clock.now += 11 * MINUTE

        const { status, setCookie } = await device.get('/out')

        t.is(status, 200)
        t.deepEqual(
          setCookie.map((line) => line.split('; ').slice(0, 2)),
          [
            ['sid=', 'Max-Age=0'],
            ['sid-bound=', 'Max-Age=0'],
          ],
        )
        // The user has logged out: the browser, which has its key, must not be signed in again.
        await device.refresh()
        t.deepEqual(JSON.parse((await device.get('/')).body), { origin: 'new' })
        t.is((await middleware.list('ada')).length, 1)
      },
    )
