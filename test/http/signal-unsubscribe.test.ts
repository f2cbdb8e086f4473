// A store of an app's own may end its subscription by an async function: one that fails is an event, and ends no process.
import test from 'ava'
import { hear, mounted } from '../support/mounted.ts'
import { PlainStore } from '../support/plain-store.ts'
import { turns } from '../support/stopped-clock.ts'

class Unsubscribing extends PlainStore {
  override subscribe(onEnd: (key: string | undefined) => void): () => Promise<void> {
    const end = super.subscribe(onEnd)
    return () => {
      end()
      return Promise.reject(Object.assign(new Error('the client is closed'), { code: 'ECONNRESET' }))
    }
  }
}

test.serial('what the end of a subscription rejects with is an event, and ends no process', async (t) => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const { browser, middleware } = await mounted(
    t,
    { store: new Unsubscribing(), logger: {}, sweepInterval: false },
    {
      '/watch': async (session) => {
        await session.signIn('ada')
        return String(session.signal.aborted)
      },
    },
  )
  t.is((await browser().get('/watch')).body, 'false')
  const heard = hear(t, 'store-error')

  await middleware.close()
  await turns()

  t.deepEqual(unhandled, [])
  t.deepEqual(
    heard.map(([, { operation, kind }]) => [operation, kind]),
    [['subscribe', 'ECONNRESET']],
  )
})
