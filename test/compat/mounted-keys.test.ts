// Below koa-mount the app of a request is the outer one: its keys count, and the error for missing keys says so.
import test from 'ava'
import Koa from 'koa'
import mount from 'koa-mount'
import { currentSession, session } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'

async function answered(t: Parameters<typeof served>[0], keysOf: 'outer' | 'inner'): Promise<[number, string]> {
  const [outer, inner] = [new Koa(), new Koa()]
  ;({ outer, inner })[keysOf].keys = [...KEYS]
  inner.use(session())
  inner.use((ctx) => {
    currentSession().flash('notice', 'kept')
    ctx.body = 'done'
  })
  outer.use(mount('/inner', inner))
  const app = await served(t, outer)
  // served() gives keys to an app that has none.
  if (keysOf === 'inner') outer.keys = undefined as unknown as string[]
  const { status } = await app.browser().get('/inner')
  return [status, (app.errors[0] as Error | undefined)?.message ?? '']
}

test('below koa-mount session() finds the keys of the outer app', async (t) => {
  t.deepEqual(await answered(t, 'outer'), [200, ''])
})

test('keys of the app below koa-mount are not found, and the error says whose count', async (t) => {
  const [status, message] = await answered(t, 'inner')

  t.is(status, 500)
  t.regex(message, /^options\.keys or app\.keys must be .+ below koa-mount the keys of the outer app count$/)
})
