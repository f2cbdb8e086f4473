// A gateway that passes requests on to an app with which it shares the sessions: one store, one cookie.
import test from 'ava'
import Koa from 'koa'
import { currentSession, MemoryStore, session, type SessionOptions } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'

const NEWER = 'a newer secret of more than thirty-two characters'

for (const [what, later] of Object.entries({
  'renews the cookie': { rolling: true, maxAge: '1h' } as const,
  'signs the cookie anew': { keys: [NEWER, ...KEYS] },
})) {
  test(`a gateway that ${what} leaves the new id of the app behind it in place`, async (t) => {
    let now = Date.now()
    const common: SessionOptions = { store: new MemoryStore(), now: () => now, ...('maxAge' in later && later) }
    const behind = new Koa()
    behind.keys = [...KEYS, NEWER]
    behind.use(session(common))
    behind.use(async (ctx) => {
      if (ctx.path === '/set') await currentSession().save()
      if (ctx.path === '/in') await currentSession().signIn('ada')
      ctx.body = currentSession().owner ?? 'nobody'
    })
    const { url } = await served(t, behind)
    const gateway = new Koa()
    gateway.use(session({ ...common, ...later }))
    gateway.use(async (ctx) => {
      const answer = await fetch(url + ctx.path, { headers: { cookie: ctx.get('cookie') } })
      ctx.respond = false
      ctx.res.setHeader('Set-Cookie', answer.headers.getSetCookie())
      ctx.res.end(await answer.text())
    })
    const browser = (await served(t, gateway)).browser()
    const first = await browser.get('/set')
    t.is(first.setCookie.length, 1)
    now += 30 * 60_000

    t.is((await browser.get('/in')).body, 'ada')
    t.is((await browser.get('/')).body, 'ada')
  })
}
