import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { fromKoaSession, takeOver, type TakeOverOptions } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { ada, goOn, pages, type Visitor } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'

test('takeOver reads options that are inherited, as those of a class with getters', async (t) => {
  class Settings implements TakeOverOptions<Visitor> {
    get from() {
      return fromKoaSession({ store: new OldStore(ada()) })
    }
    get until() {
      return Date.now() + DAY
    }
    get goOn() {
      return goOn
    }
  }
  const app = new Koa()
  app.silent = true
  app.use(session<Visitor>({ keys: [...KEYS] }))
  app.use(takeOver<Visitor>(new Settings()))
  app.use(pages)
  const running = await served(t, app)

  t.is((await running.browser().send('/', signed('k1'))).body, 'ada {"cart":["book"]}')
})
