// takeOver without the secret of the old cookies, or without their store: nobody is taken over, and nothing is taken away either.
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { fromExpressSession, fromKoaSession, takeOver, type OldSessions } from '../../src/migrate.ts'
import { KEYS, served, type Browser } from '../support/app.ts'
import { goOn, pages, type Visitor } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const FORGOTTEN = 'another secret than the old one'

async function browserOf(
  t: Parameters<typeof served>[0],
  from: OldSessions,
  until = Date.now() + DAY,
): Promise<Browser> {
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS] }))
  app.use(takeOver<Visitor>({ from, until, goOn }))
  app.use(pages)
  return (await served(t, app)).browser()
}

test('where the old secret is forgotten, the old cookies stay, and their users go on once it is there', async (t) => {
  const old = inCookie({ user: 'ada' })
  const wrong = await browserOf(t, fromKoaSession({ keys: [FORGOTTEN] }))
  const { body, setCookie } = await wrong.send('/', old)
  t.regex(body, /^nobody/)
  t.deepEqual(setCookie, [])

  const right = await browserOf(t, fromKoaSession({ keys: [...KEYS] }))
  t.regex((await right.send('/', old)).body, /^ada/)
})

test('where the old store is forgotten, the old cookies stay, and their users go on once it is there', async (t) => {
  const store = new OldStore(['k1', { user: 'ada' }])
  const { body, setCookie } = await (await browserOf(t, fromKoaSession())).send('/', signed('k1'))
  t.regex(body, /^nobody/)
  t.deepEqual(setCookie, [])

  const right = await browserOf(t, fromKoaSession({ store }))
  t.regex((await right.send('/', signed('k1'))).body, /^ada/)
})

test('where the old secret of express-session is forgotten, the old cookies stay', async (t) => {
  const store = new OldStore()
  const from = fromExpressSession({ secret: FORGOTTEN, store })
  const { setCookie } = await (await browserOf(t, from)).send('/', 'connect.sid=s%3Aabc.def')

  t.deepEqual(setCookie, [])
})

test('after the last day they are cleared, whoever signed them', async (t) => {
  const browser = await browserOf(t, fromKoaSession({ keys: [FORGOTTEN] }), Date.now() - 1)
  const { setCookie } = await browser.send('/', inCookie({ user: 'ada' }))

  t.deepEqual(setCookie.map((line) => line.split('=')[0]).sort(), ['koa.sess', 'koa.sess.sig'])
})
