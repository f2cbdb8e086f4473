// One request ends its session by destroy() and by a method of the middleware at once: whichever is first, the cookie is cleared.
import test from 'ava'
import type { SessionMiddleware } from '../../src/index.ts'
import { mounted, type Mounted, type Things } from '../support/mounted.ts'

const others: Record<string, (middleware: SessionMiddleware<Things>, publicId: string) => Promise<unknown>> = {
  'destroyAll()': (middleware) => middleware.destroyAll('ada'),
  'destroyEverything()': (middleware) => middleware.destroyEverything(),
  'destroy() of the middleware': (middleware, publicId) => middleware.destroy(publicId),
}

for (const [name, end] of Object.entries(others))
  test(`destroy() clears the cookie also where ${name} of the same request, begun before it, is done first`, async (t) => {
    const app: Mounted = await mounted(
      t,
      { logger: {}, sweepInterval: false },
      {
        '/in': (session) => session.signIn('ada'),
        '/out': async (session) => {
          const [first, second] = [app.store.pause('replace'), app.store.pause('replace')]
          const ending = end(app.middleware, session.publicId)
          await first.arrived
          const own = session.destroy()
          await second.arrived
          first.open()
          await ending
          second.open()
          await own
        },
      },
    )
    const browser = app.browser()
    await browser.get('/in')

    const { status, setCookie } = await browser.get('/out')

    t.is(status, 200)
    t.deepEqual(setCookie, ['sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
  })
