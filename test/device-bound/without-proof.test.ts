// What a browser without proof leaves behind: the cookies of its bound session, and what its request wrote before a sign-in.
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'
import { boundDevice, boundSite, MINUTE, seen } from '../support/bound-site.ts'
import { Device } from '../support/device.ts'

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
    const clock = { now: 1_800_000_000_000 }
    const middleware = session<Things>({ now: () => clock.now, deviceBound: true, sweepInterval: false, logger: {} })
    const app = new Koa()
    app.keys = [...KEYS]
    app.proxy = true
    app.silent = true
    app.use(middleware)
    app.use(async (ctx) => {
      const manager = currentSession<Things>()
      if (ctx.path === '/again') {
        manager.data.lang = 'en'
        manager.flash('notice', 'welcome')
      }
      if (ctx.path !== '/') await manager.signIn('ada', { keep })
      ctx.body = { lang: manager.data.lang, notices: ctx.path === '/' ? manager.flash('notice') : undefined }
    })
    const running = await served(t, app)
    const device = new Device(running.browser())
    t.is((await device.register(await device.get('/in'))).status, 200)
    clock.now += 11 * MINUTE

    const again = await device.get('/again', { 'secure-session-skipped': 'unreachable' })

    t.is(again.status, 200)
    t.deepEqual(JSON.parse(again.body), { lang: 'en' })
    t.deepEqual(JSON.parse((await device.get('/')).body), { lang: 'en', notices: ['welcome'] })
  })
