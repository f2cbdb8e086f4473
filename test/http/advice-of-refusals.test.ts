// Messages that a first app meets: each names the value that would be taken, and the function that wants it.
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS, served } from '../support/app.ts'
import { DAY, inCookie } from '../support/old-sessions.ts'

test('an owner of null is told that no owner is undefined', async (t) => {
  const sessions = session<{ user?: string | null }>({
    keys: [...KEYS],
    owner: ((data: { user?: string | null }) => data.user ?? null) as never,
  })
  await t.throwsAsync(sessionCookie(sessions, { user: null }), {
    message: /undefined must be a string of 1 to 255 characters, got null$/,
  })
})

test('fromKoaSession() without keys, in an app without app.keys, names itself and app.keys', async (t) => {
  const app = new Koa()
  app.use(session({ keys: [...KEYS] }))
  app.use(takeOver({ from: fromKoaSession(), until: Date.now() + DAY, goOn: () => undefined }))
  const site = await served(t, app)
  app.keys = undefined as never
  await site.browser().send('/', inCookie({ user: 'ada' }))
  t.regex((site.errors[0] as Error).message, /fromKoaSession\(\).*app\.keys/)
})

test('a wrong overlap is told that 0 is none', (t) => {
  t.throws(() => takeOver({ from: fromKoaSession(), until: 1, overlap: -1, goOn: () => undefined }), {
    message: /overlap.*\b0\b.*duration/,
  })
})
