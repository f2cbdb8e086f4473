// An app that had two kinds of old sessions takes both over.
import Koa from 'koa'
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, session } from '../../src/index.ts'
import { fromKoaSession, takeOver, type OldSessions } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { goOn, ours, pages, type Visitor } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

/** A process after the deploy; `froms` in the order in which they are mounted. */
async function after(t: ExecutionContext, ...froms: readonly OldSessions[]) {
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS], store: new MemoryStore(), logger: {} }))
  for (const from of froms) app.use(takeOver<Visitor>({ from, until: Date.now() + 30 * DAY, overlap: '1d', goOn }))
  app.use(pages)
  return served(t, app)
}

const life = { _expire: Date.now() + DAY, _maxAge: DAY }

for (const isFirst of [true, false])
  test(`who comes from the ${isFirst ? 'first' : 'second'} of two stores stays signed in, and its logout there counts`, async (t) => {
    const old = new OldStore(['k1', { user: 'ada', ...life }])
    const mine = fromKoaSession({ key: 'koa:sess', store: old })
    const other = fromKoaSession({ store: new OldStore() })
    const app = await after(t, ...(isFirst ? [mine, other] : [other, mine]))
    const cookie = signed('k1', KEYS, 'koa:sess')
    const first = await app.browser().send('/', cookie)

    t.is(first.body, 'ada {}')
    t.is((await app.browser().send('/', `${ours(first)}; ${cookie}`)).body, 'ada {}')
    old.records.delete('k1')
    t.is((await app.browser().send('/', ours(first))).body, 'nobody {}')
  })

for (const isFirst of [true, false])
  test(`who comes from a store stays signed in ${isFirst ? 'above' : 'below'} old cookies that hold their sessions`, async (t) => {
    const mine = fromKoaSession({ key: 'koa:sess', store: new OldStore(['k1', { user: 'ada', ...life }]) })
    const app = await after(t, ...(isFirst ? [mine, fromKoaSession()] : [fromKoaSession(), mine]))
    const cookie = signed('k1', KEYS, 'koa:sess')
    const first = await app.browser().send('/', cookie)

    t.is(first.body, 'ada {}')
    t.is((await app.browser().send('/', `${ours(first)}; ${cookie}`)).body, 'ada {}')
  })

for (const isFirst of [true, false])
  test(`who comes from an old cookie that holds the session stays signed in ${isFirst ? 'above' : 'below'} a store`, async (t) => {
    const other = fromKoaSession({ key: 'koa:sess', store: new OldStore() })
    const app = await after(t, ...(isFirst ? [fromKoaSession(), other] : [other, fromKoaSession()]))
    const cookie = inCookie({ user: 'ada' })
    const first = await app.browser().send('/', cookie)

    t.is(first.body, 'ada {}')
    t.is((await app.browser().send('/', `${ours(first)}; ${cookie}`)).body, 'ada {}')
  })
