// A gateway, made by hand, that passes the head of an answer on as it came: with the cookie of the app behind it.
import { request } from 'node:http'
import test from 'ava'
import Koa from 'koa'
import { currentSession, MemoryStore, session, type SessionOptions } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'

test('a gateway that gives writeHead the headers of the app behind it leaves the new id of that app in place', async (t) => {
  let now = Date.now()
  const common: SessionOptions = { store: new MemoryStore(), now: () => now, maxAge: '1h', rolling: true }
  const behind = new Koa()
  behind.use(session(common))
  behind.use(async (ctx) => {
    if (ctx.path === '/set') await currentSession().save()
    if (ctx.path === '/in') await currentSession().signIn('ada')
    ctx.body = currentSession().owner ?? 'nobody'
  })
  const { url } = await served(t, behind)
  const gateway = new Koa()
  gateway.keys = [...KEYS]
  gateway.use(session(common))
  gateway.use((ctx) => {
    ctx.respond = false
    return new Promise((resolve) => {
      const { method, headers } = ctx.req
      request(url + ctx.path, { method, headers }, (answer) => {
        ctx.res.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(ctx.res).once('close', resolve)
      }).end()
    })
  })
  const browser = (await served(t, gateway)).browser()
  await browser.get('/set')
  now += 30 * 60_000

  t.is((await browser.get('/in')).body, 'ada')
  t.is((await browser.get('/')).body, 'ada')
})
