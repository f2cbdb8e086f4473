// A gateway that passes requests on to an app with which it shares the sessions: one store, one cookie.
import { request } from 'node:http'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { currentSession, MemoryStore, session, type SessionOptions } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'

const NEWER = 'a newer secret of more than thirty-two characters'

type Later = Pick<SessionOptions, 'rolling' | 'maxAge' | 'keys'>

const ROLLING: Later = { rolling: true, maxAge: '1h' }

/** Signs in through a gateway that passes the app's answer on by `pass`, when its own cookie is due, and looks who is signed in. */
async function signsIn(t: ExecutionContext, later: Later, pass: (ctx: Context, url: string) => Promise<void>) {
  let now = Date.now()
  const { keys, ...both } = later
  const common: SessionOptions = { store: new MemoryStore(), now: () => now, ...both }
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
  gateway.use(session({ ...common, keys: keys ?? KEYS }))
  gateway.use((ctx) => {
    ctx.respond = false
    return pass(ctx, url)
  })
  const browser = (await served(t, gateway)).browser()
  t.is((await browser.get('/set')).setCookie.length, 1)
  now += 30 * 60_000

  t.is((await browser.get('/in')).body, 'ada')
  t.is((await browser.get('/')).body, 'ada')
}

const ways: Record<string, Later> = {
  'renews the cookie': ROLLING,
  'signs the cookie anew': { keys: [NEWER, ...KEYS] },
}
for (const [what, later] of Object.entries(ways)) {
  test(`a gateway that ${what} leaves the new id of the app behind it in place`, (t) =>
    signsIn(t, later, async (ctx, url) => {
      const answer = await fetch(url + ctx.path, { headers: { cookie: ctx.get('cookie') } })
      ctx.res.setHeader('Set-Cookie', answer.headers.getSetCookie())
      ctx.res.end(await answer.text())
    }))
}

test('so does one that gives writeHead the headers of that app, as they came', (t) =>
  signsIn(t, ROLLING, (ctx, url) => {
    const { method, headers } = ctx.req
    return new Promise((resolve) => {
      request(url + ctx.path, { method, headers }, (answer) => {
        ctx.res.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(ctx.res).once('close', resolve)
      }).end()
    })
  }))
