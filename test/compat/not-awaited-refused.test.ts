// A save() or regenerate() of ctx.session that nobody awaits and that is refused at a visitor's will: a sign-in from another site, one
// whose client has left.
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import type { Context } from 'koa'
import { turns } from '../support/stopped-clock.ts'
import { answering, bagOf, ecosystem } from '../support/ecosystem.ts'

function unhandledIn(t: ExecutionContext): unknown[] {
  const unhandled: unknown[] = []
  const hear = (error: unknown): void => void unhandled.push((error as { code?: unknown }).code)
  process.on('unhandledRejection', hear)
  t.teardown(() => process.off('unhandledRejection', hear))
  return unhandled
}

const owner = ({ user }: Record<string, unknown>): string | undefined => (typeof user === 'string' ? user : undefined)

for (const what of ['save', 'regenerate', 'manuallyCommit'] as const) {
  const login = (ctx: Context): void => {
    bagOf(ctx)['user'] = 'eve'
    void bagOf(ctx)[what]()
  }

  test.serial(`a sign-in from another site whose ${what}() nobody awaits does not end the process`, async (t) => {
    const unhandled = unhandledIn(t)
    const app = await ecosystem(t, { owner }, answering({ '/login': login }))
    const headers = { 'sec-fetch-site': 'cross-site' }
    await app.browser().send('/login', '', { method: 'POST', headers })
    await turns(5)

    t.deepEqual(unhandled, [])
  })

  test.serial(`nor does one whose client leaves: ${what}()`, async (t) => {
    const unhandled = unhandledIn(t)
    const client = new AbortController()
    const app = await ecosystem(
      t,
      { owner },
      answering({
        '/visit': (ctx) => void (bagOf(ctx)['n'] = 1),
        '/login': async (ctx) => {
          const left = once(ctx.res, 'close')
          client.abort()
          await left
          login(ctx)
        },
      }),
    )
    app.app.silent = true
    const browser = app.browser()
    await browser.get('/visit')
    await browser.get('/login', { signal: client.signal }).catch(() => undefined)
    await turns(50)

    t.deepEqual(unhandled, [])
  })
}
