// What the adapters keep of the package's promises over HTTP, within one process: nothing is lost, nothing comes back,
// nothing can be read.
import test from 'ava'
import expressSession from 'express-session'
import { Keyv } from 'keyv'
import { fromExpressStore, fromKeyv, fromKoaStore } from '../../src/adapters/index.ts'
import type { SessionStore } from '../../src/index.ts'
import { mounted } from '../support/mounted.ts'

interface Opened {
  readonly store: SessionStore
  /** All that the foreign store holds, as text. */
  dump(): string
}

const opens: Record<string, () => Opened> = {
  fromExpressStore() {
    const store = new expressSession.MemoryStore()
    return { store: fromExpressStore(store), dump: () => JSON.stringify(store) }
  },
  fromKoaStore() {
    const kept = new Map<string, unknown>()
    const store = {
      get: (key: string) => kept.get(key),
      set: (key: string, value: unknown) => void kept.set(key, value),
      destroy: (key: string) => void kept.delete(key),
    }
    return { store: fromKoaStore(store), dump: () => JSON.stringify([...kept]) }
  },
  fromKeyv() {
    const kept = new Map<string, unknown>()
    return { store: fromKeyv(new Keyv({ store: kept })), dump: () => JSON.stringify([...kept]) }
  },
}

for (const [name, open] of Object.entries(opens)) {
  test(`${name}: requests that change different keys at once all survive`, async (t) => {
    let arrived = 0
    let go = (): void => undefined
    const both = new Promise<void>((resolve) => (go = resolve))
    const meet = async (): Promise<void> => {
      if (++arrived === 2) go()
      await both
    }
    const app = await mounted(
      t,
      { store: open().store, logger: {} },
      {
        '/begin': ({ data }) => void (data.list = []),
        '/n': async ({ data }) => (await meet(), (data.n = 1)),
        '/name': async ({ data }) => (await meet(), (data.name = 'ada')),
        '/show': ({ data }) => data,
      },
    )
    const browser = app.browser()
    await browser.get('/begin')

    await Promise.all([browser.get('/n'), browser.get('/name')])

    t.deepEqual(JSON.parse((await browser.get('/show')).body), { list: [], n: 1, name: 'ada' })
  })

  test(`${name}: a request that was under way at the logout does not bring the session back`, async (t) => {
    let arrive = (): void => undefined
    let go = (): void => undefined
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const ended = new Promise<void>((resolve) => (go = resolve))
    const foreign = open()
    const app = await mounted(
      t,
      { store: foreign.store, logger: {} },
      {
        '/begin': ({ data }) => void (data.n = 1),
        '/slow': async ({ data }) => {
          arrive()
          await ended
          data.n = 2
        },
        '/logout': (session) => session.destroy(),
        '/show': ({ origin, data }) => [origin, data],
      },
    )
    const browser = app.browser()
    await browser.get('/begin')
    const cookie = await browser.cookie()
    const slow = browser.send('/slow', cookie)
    await arrived
    await browser.send('/logout', cookie)
    go()

    t.is((await slow).status, 409)
    t.deepEqual((await slow).setCookie, [])
    t.is((await browser.send('/show', cookie)).body, '["expired",{}]')
    t.notRegex(foreign.dump(), /\bn\\*":/, 'nothing of the data is left, whatever lies there for the minute after')
  })

  test(`${name}: encrypted data goes on, and the foreign store can read neither it nor the id`, async (t) => {
    const foreign = open()
    const app = await mounted(
      t,
      { store: foreign.store, logger: {}, encryptionKeys: ['a secret that only this server knows'] },
      {
        '/begin': ({ data }) => void (data.name = 'Ada Lovelace'),
        '/show': ({ data }) => data,
      },
    )
    const browser = app.browser()
    await browser.get('/begin')
    const [, id = ''] = /^sid=([\w-]+)\./.exec(await browser.cookie()) ?? []

    t.is((await browser.get('/show')).body, '{"name":"Ada Lovelace"}')
    t.regex(foreign.dump(), /expiresAt/)
    t.false(foreign.dump().includes('Lovelace') || foreign.dump().includes(id))
  })

  test(`${name}: one session can be ended by its public id`, async (t) => {
    const app = await mounted(
      t,
      { store: open().store, logger: {} },
      { '/begin': (session) => ((session.data.n = 1), session.publicId), '/show': ({ origin }) => origin },
    )
    const browser = app.browser()
    const { body: publicId } = await browser.get('/begin')

    t.true(await app.middleware.destroy(publicId))
    t.is((await browser.get('/show')).body, 'expired')
  })
}
