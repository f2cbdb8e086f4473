// Safety notices: what a developer should know, once, through process.emitWarning or the logger.
import test from 'ava'
import { MemoryStore, session } from '../src/index.ts'
import { mounted } from './support/mounted.ts'
import { settle, warnings, type Warning } from './support/warnings.ts'

const codes = (seen: readonly Warning[]): (string | undefined)[] => seen.map(({ code }) => code)

test.serial('an insecure cookie behind a proxy that says https is worth a notice, once', async (t) => {
  const seen = warnings(t)
  const app = await mounted(t, {}, { '/': ({ data }) => (data.n = 1) })
  await app.browser().get('/')
  await settle()
  t.deepEqual(seen, [])
  for (let turn = 0; turn < 3; turn++) await app.browser().get('/', { headers: { 'x-forwarded-proto': 'https' } })
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_INSECURE_COOKIE'])
  t.regex(seen[0]?.message ?? '', /set app\.proxy = true if you run behind that proxy$/)
})

test.serial('no notice comes where app.proxy is set, or Secure was decided', async (t) => {
  const seen = warnings(t)
  for (const secure of ['auto', true, false] as const) {
    const app = await mounted(t, { cookie: { secure } }, { '/': ({ data }) => (data.n = 1) })
    app.app.proxy = secure === 'auto'
    await app.browser().get('/', { headers: { 'x-forwarded-proto': 'https' } })
  }
  await settle()

  t.deepEqual(seen, [])
})

test.serial('a secret of under 16 characters is worth a notice that does not show it', async (t) => {
  const seen = warnings(t)
  session({ keys: ['a secret of more than sixteen characters', 'short secret'] })
  session({ keys: [Buffer.alloc(15, 'x')] })
  session({ keys: ['sixteen letters!', Buffer.alloc(16, 'x')] })
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_SHORT_SECRET', 'KOA_FASTSESSION_SHORT_SECRET'])
  t.false(seen.some(({ message }) => message.includes('short secret')))
})

test.serial('a short secret of app.keys is told at the first request', async (t) => {
  const seen = warnings(t)
  const app = await mounted(t, {}, { '/': () => 'done' })
  app.app.keys = ['short secret']
  await app.browser().get('/')
  await app.browser().get('/')
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_SHORT_SECRET'])
})

test.serial('a merged conflict is worth a notice, once', async (t) => {
  const seen = warnings(t)
  const app = await mounted(
    t,
    {},
    {
      '/': async ({ data }, ctx) => {
        data.n = (data.n ?? 0) + 1
        if (ctx.query['nested'] === undefined) await app.browser().send('/?nested', ctx.get('cookie'))
      },
    },
  )
  const browser = app.browser()
  await browser.get('/?nested')
  for (let turn = 0; turn < 3; turn++) await browser.get('/')
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_MERGED_CONFLICT'])
})

test.serial('with a logger notices are its warnings, and the process has none', async (t) => {
  const seen = warnings(t)
  const lines: string[] = []
  session({ keys: ['short secret'], logger: { warn: (line) => void lines.push(line) } })
  await settle()

  t.deepEqual(seen, [])
  t.regex(lines[0] ?? '', /^koa-fastsession: a secret of keys has fewer than 16 characters/)
})

test.serial('what a store cannot promise is said once', async (t) => {
  const seen = warnings(t)
  session({ store: Object.assign(new MemoryStore(), { limits: 'this store has no owner index' }) })
  await settle()

  t.deepEqual(
    seen.map(({ code, message }) => [code, message]),
    [['KOA_FASTSESSION_STORE_LIMITS', 'this store has no owner index']],
  )
})
