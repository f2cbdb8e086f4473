// A body that fails while the session is being stored. Koa 3 listens to it once it answers, and not before: an error of a stream to
// which nobody listens ends the process.
import { PassThrough } from 'node:stream'
import test from 'ava'
import { mounted, type Handler } from '../support/mounted.ts'

const verbs: Record<string, { verb: 'create' | 'replace' | 'touch'; act: Handler }> = {
  'a new session is stored': { verb: 'create', act: ({ data }) => (data.n = 1) },
  'a change is stored': { verb: 'replace', act: ({ data }) => (data.n = 2) },
  'its use is noted': { verb: 'touch', act: () => undefined },
}

for (const [what, { verb, act }] of Object.entries(verbs)) {
  test(`a body that fails while ${what} fails its response, and nothing else`, async (t) => {
    let now = Date.now()
    const body = new PassThrough()
    const app = await mounted(
      t,
      { now: () => now },
      {
        '/set': ({ data }) => (data.n = 1),
        '/': (session, ctx) => {
          void act(session, ctx)
          ctx.body = body
        },
        '/look': ({ data }) => data.n,
      },
    )
    const browser = app.browser()
    if (verb !== 'create') await browser.get('/set')
    now += 60 * 60_000
    const storing = app.store.pause(verb)
    const answer = browser.get('/').catch(() => undefined)
    await storing.arrived
    t.true(body.listenerCount('error') > 0)
    body.destroy(new Error('the file is gone'))
    await new Promise((resolve) => body.once('close', resolve))
    storing.open()

    // Koa 2 answers 500, Koa 3 ends the connection.
    t.not((await answer)?.status, 200)
    t.like(app.errors[0], { message: 'the file is gone' })
  })
}
