// How long a change is tried, and when it is not tried again. Ten seconds of tries are not waited for: the clock that counts them is
// moved, so these tests are serial.
import test from 'ava'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { mounted, type Handler, type Session } from '../support/mounted.ts'
import { PlainStore } from '../support/plain-store.ts'

/** A store in which another request was always first to change the first session. */
class Busy extends PlainStore {
  tries = 0
  #first: string | undefined

  override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
    this.#first ??= record.key
    return super.create(record, now)
  }

  override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    if (record.key !== this.#first) return super.replace(record, version, now)
    this.tries++
    return 'stale'
  }
}

const CONFLICT = { code: 'ERR_SESSION_CONFLICT', status: 409 }

const tried: Record<string, Handler> = {
  'a change': ({ data }) => (data.n = 2),
  'update()': (session) => session.update((data) => (data.n = 2)),
  'regenerate()': (session) => session.regenerate(),
}

for (const [what, handler] of Object.entries(tried)) {
  test.serial(`${what} gives up as a conflict after ten seconds of tries, and not before`, async (t) => {
    const store = new Busy()
    const app = await mounted(t, { store, logger: {} }, { '/set': ({ data }) => (data.n = 1), '/': handler })
    const browser = app.browser()
    await browser.get('/set')
    const start = performance.now()
    // An own property in front of the prototype's.
    performance.now = () => start + store.tries * 3000
    t.teardown(() => Reflect.deleteProperty(performance, 'now'))
    const { status, setCookie } = await browser.get('/')

    t.is(status, 409)
    t.true(store.tries === 4 || store.tries === 5, String(store.tries))
    t.like(app.errors[0], CONFLICT)
    t.true(
      (app.errors[0] as Error).message.startsWith(
        `other requests changed this session before this one could, ${store.tries} times one after another`,
      ),
    )
    t.deepEqual(setCookie, [])
  })
}

for (const [verb, change] of Object.entries<(session: Session) => unknown>({
  'the commit': () => undefined,
  'save()': (session) => session.save(),
  'update()': (session) => session.update((data) => (data.n = 2)),
})) {
  test(`${verb} refuses a change where the record is gone from the store`, async (t) => {
    const app = await mounted(
      t,
      { store: new PlainStore() },
      {
        '/begin': ({ data }) => (data.n = 1),
        '/': async (session) => {
          session.data.n = 2
          // As a store does that makes room.
          await app.store.delete(session.publicId)
          await change(session)
        },
      },
    )
    const browser = app.browser()
    await browser.get('/begin')

    t.is((await browser.get('/')).status, 409)
    t.like(app.errors[0], { code: 'ERR_SESSION_GONE' })
  })
}
