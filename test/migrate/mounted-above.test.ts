// takeOver above session(): no old session can be taken over there, which would sign every user out in silence.
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { goOn, pages, type Visitor } from '../support/deployed.ts'
import { DAY, inCookie } from '../support/old-sessions.ts'
import { settle, warnings } from '../support/warnings.ts'

const TOLD = [
  'KOA_FASTSESSION_TAKE_OVER_ABOVE: an old session was not taken over, because takeOver() is mounted before session(): mount it right after session()',
]

const passing = (): Koa.Middleware => takeOver<Visitor>({ from: fromKoaSession(), until: Date.now() + DAY, goOn })
const told = (seen: readonly { code?: string; message: string }[]): string[] =>
  seen.map(({ code, message }) => `${code ?? ''}: ${message}`)

test.serial('mounted before session() it takes nothing over, and a notice says so, once', async (t) => {
  const seen = warnings(t)
  const app = new Koa()
  app.use(passing())
  app.use(session<Visitor>({ keys: [...KEYS] }))
  app.use(pages)
  const browser = (await served(t, app)).browser()
  await browser.get('/')
  await settle()
  t.deepEqual(told(seen), [], 'no old session came')
  for (let turn = 0; turn < 3; turn++) t.is((await browser.send('/', inCookie({ user: 'ada' }))).status, 200)
  await settle()

  t.deepEqual(told(seen), TOLD)
})

test.serial('below a session() that skips the request there is nothing to tell', async (t) => {
  const seen = warnings(t)
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS], skip: () => true }))
  app.use(passing())
  app.use((ctx) => void (ctx.body = 'done'))
  const browser = (await served(t, app)).browser()
  t.is((await browser.send('/', inCookie({ user: 'ada' }))).body, 'done')
  await settle()

  t.deepEqual(told(seen), [])
})

test.serial('it says so where the handler answers with an error, too', async (t) => {
  const seen = warnings(t)
  const app = new Koa()
  app.silent = true
  app.use(passing())
  app.use(session<Visitor>({ keys: [...KEYS] }))
  app.use((ctx) => ctx.throw(401))
  const browser = (await served(t, app)).browser()
  t.is((await browser.send('/', inCookie({ user: 'ada' }))).status, 401)
  await settle()

  t.deepEqual(told(seen), TOLD)
})
