// A request that waits behind another one of its connection: its response has no socket yet, and does not know that it has closed.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { Barrier } from '../support/faults.ts'
import { mounted, type Handler, type Mounted } from '../support/mounted.ts'

/** Sends a request behind a slow one; its client leaves before the handler has done its work. @returns how that ended. */
async function leaving(
  t: ExecutionContext,
  work: Handler,
): Promise<{ app: Mounted; cookie: string; outcome: unknown }> {
  const [slow, began] = [new Barrier(), new Barrier()]
  let told: (outcome: unknown) => void = () => undefined
  const outcome = new Promise((resolve) => (told = resolve))
  const app = await mounted(
    t,
    { maxPerOwner: 1 },
    {
      '/in': (session) => session.signIn('ada'),
      '/look': ({ owner }) => owner ?? 'nobody',
      '/slow': () => slow.pass(),
      '/work': async (session, ctx) => {
        t.is(ctx.res.socket, null)
        await began.pass()
        await Promise.resolve(work(session, ctx)).then(told, told)
      },
    },
  )
  t.teardown(() => slow.open())
  const browser = app.browser()
  await browser.get('/in')
  const cookie = await browser.cookie()
  const connected = once(app.server, 'connection')
  const client = connect(Number(new URL(app.url).port), '127.0.0.1')
  const [socket] = (await connected) as [Socket]
  client.write(`GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /work HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`)
  await slow.arrived
  await began.arrived
  const closed = once(socket, 'close')
  client.destroy()
  await closed
  began.open()
  return { app, cookie, outcome: await outcome }
}

const verbs: Record<string, Handler> = {
  'regenerate()': (session) => session.regenerate(),
  'signIn()': (session) => session.signIn('ada'),
}
for (const [verb, work] of Object.entries(verbs)) {
  test(`${verb} behind another response is refused where the client has left: the id that it has stays good`, async (t) => {
    const { app, cookie, outcome } = await leaving(t, work)

    t.like(outcome, { code: 'ERR_SESSION_HEADERS_SENT' })
    t.is((await app.browser().send('/look', cookie)).body, 'ada')
  })
}
