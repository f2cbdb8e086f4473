// A body that fails while the session is being stored, and does not show later that it has failed: old streams, those of
// readable-stream 3 and those that only emit their error would leave the response without an end.
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import test from 'ava'
import { mounted } from '../support/mounted.ts'

test('a body that emits an error while a new session is stored, and is not destroyed, fails its response', async (t) => {
  const body = new PassThrough()
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }, ctx) => {
        data.n = 1
        ctx.body = body
      },
    },
  )
  const storing = app.store.pause('create')
  const answer = app.browser().get('/', { signal: AbortSignal.timeout(3000) })
  await storing.arrived
  body.emit('error', new Error('the file is gone'))
  storing.open()

  t.is((await answer.catch(() => undefined))?.status, 500)
  t.is(app.errors.length, 1)
  t.like(app.errors[0], { message: 'the file is gone' })
})

test('a body that fails while a use is noted after its handler has failed does not end the process', async (t) => {
  let now = Date.now()
  const body = new PassThrough()
  const app = await mounted(
    t,
    { now: () => now },
    {
      '/set': ({ data }) => (data.n = 1),
      '/': (_session, ctx) => {
        ctx.body = body
        throw new Error('the handler failed')
      },
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  now += 60 * 60_000
  const storing = app.store.pause('touch')
  const answer = browser.get('/')
  await storing.arrived
  t.true(body.listenerCount('error') > 0)
  body.destroy(new Error('the file is gone'))
  await new Promise((resolve) => body.once('close', resolve))
  storing.open()

  t.is((await answer).status, 500)
  // Koa 2 listens to the body itself, and tells of both.
  const told = app.errors.map((error) => (error as Error).message).filter((message) => message !== 'the file is gone')
  t.deepEqual(told, ['the handler failed'])
})

test('a body that is an emitter, but no stream, gets no listener: one object may answer every request', async (t) => {
  const body = Object.assign(new EventEmitter(), { toJSON: () => 'ready' })
  const app = await mounted(
    t,
    {},
    {
      '/': (_session, ctx) => {
        ctx.body = body
      },
    },
  )

  t.is((await app.browser().get('/')).body, '"ready"')
  t.is(body.listenerCount('error'), 0)
})
