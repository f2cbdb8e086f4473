import test, { type ExecutionContext } from 'ava'
import bodyParser from 'koa-bodyparser'
import CSRF from 'koa-csrf'
import flash from 'koa-flash-simple'
import type { SessionOptions } from '../../src/index.ts'
import { answering, ecosystem, post, visitorOf, type Ecosystem } from '../support/ecosystem.ts'

function csrfSite(t: ExecutionContext, options: SessionOptions = {}): Promise<Ecosystem> {
  const handlers = answering({
    '/form': (ctx) => String((ctx.state as unknown as { _csrf?: string })._csrf),
    '/pay': () => 'paid',
  })
  return ecosystem(t, options, bodyParser(), new CSRF(), handlers)
}

test('koa-csrf refuses a post without its token', async (t) => {
  const browser = (await csrfSite(t)).browser()
  await browser.get('/form')

  t.is((await post(browser, '/pay')).status, 403)
  t.is((await post(browser, '/pay', { _csrf: 'made-up' })).status, 403)
})

test('koa-csrf takes a post with the token of the session', async (t) => {
  const browser = (await csrfSite(t)).browser()
  const { body: token } = await browser.get('/form')

  const answer = await post(browser, '/pay', { _csrf: token })

  t.is(answer.status, 200)
  t.is(answer.body, 'paid')
})

test("koa-csrf refuses another session's token", async (t) => {
  const app = await csrfSite(t)
  const { body: token } = await app.browser().get('/form')
  const victim = app.browser()
  await victim.get('/form')

  t.is((await post(victim, '/pay', { _csrf: token })).status, 403)
})

test('koa-csrf: the first visit may be the refused one, and its session goes on', async (t) => {
  const browser = (await csrfSite(t)).browser()

  t.is((await post(browser, '/pay')).status, 403)
  t.is((await post(browser, '/pay', { _csrf: (await browser.get('/form')).body })).status, 200)
})

test('without koaSession koa-csrf protects nothing, and the log says so', async (t) => {
  const app = await csrfSite(t, { koaSession: false })

  t.is((await post(app.browser(), '/pay')).status, 200)
  t.is(app.warnings.length, 1)
  t.regex(app.warnings[0] ?? '', /koa-csrf.*koaSession: true/)
})

test('koa-flash-simple shows a message in the next request, and only there', async (t) => {
  const handlers = answering({
    '/set': (ctx) => visitorOf(ctx).flash.set({ notice: ['saved'] }),
    '/get': (ctx) => JSON.stringify(visitorOf(ctx).flash.get() ?? null),
  })
  const browser = (await ecosystem(t, {}, flash(), handlers)).browser()

  t.is((await browser.get('/get')).body, 'null')
  await browser.get('/set')
  t.is((await browser.get('/get')).body, '{"notice":["saved"]}')
  t.is((await browser.get('/get')).body, 'null')
})

test('koa-flash-simple keeps nothing for a visitor without messages', async (t) => {
  const { store, ...app } = await ecosystem(t, {}, flash(), answering({ '/': () => 'hello' }))
  const answer = await app.browser().get('/')

  t.deepEqual(answer.setCookie, [])
  t.deepEqual(store.counted(), {})
})
