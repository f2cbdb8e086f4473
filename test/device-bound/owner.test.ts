// With options.owner an owner in data is a sign-in: it begins a new session also where the browser skipped its refresh.
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'
import { MINUTE } from '../support/bound-site.ts'
import { Device } from '../support/device.ts'

interface Account {
  user?: string
}

test.serial('with the owner option a browser that skipped its refresh can sign in, too', async (t) => {
  const clock = { now: 1_800_000_000_000 }
  const middleware = session<Account>({
    now: () => clock.now,
    owner: ({ user }) => user,
    deviceBound: true,
    sweepInterval: false,
    logger: {},
  })
  const app = new Koa()
  app.keys = [...KEYS]
  app.proxy = true
  app.silent = true
  app.use(middleware)
  app.use((ctx) => {
    const manager = currentSession<Account>()
    if (ctx.path === '/in') manager.data.user = 'ada'
    ctx.body = { origin: manager.origin, user: manager.data.user }
  })
  const running = await served(t, app)
  const device = new Device(running.browser())
  t.is((await device.register(await device.get('/in'))).status, 200)
  clock.now += 11 * MINUTE

  const again = await device.get('/in', { 'secure-session-skipped': 'unreachable' })

  t.is(again.status, 200)
  t.is((await middleware.list('ada')).length, 2)
})
