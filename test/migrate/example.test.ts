import test from 'ava'
import { example } from '../support/example.ts'

test('08-coming-from-koa-session: a session of koa-session goes on, and ends with the logout', async (t) => {
  const browser = (await example(t, '08-coming-from-koa-session.ts')).browser()
  await browser.get('/before/ada', { method: 'POST' })
  const old = await browser.cookie()

  t.deepEqual(JSON.parse((await browser.get('/account')).body), { owner: 'ada', cart: ['book'], asksForPassword: true })
  t.regex(old, /^koa\.sess=/)
  // Processes of before may still serve this browser.
  t.regex(await browser.cookie(), /koa\.sess=.*sid=|sid=.*koa\.sess=/)
  const ours = (await browser.cookie()).split('; ').find((pair) => pair.startsWith('sid='))
  t.is((await browser.get('/logout', { method: 'POST' })).status, 204)
  t.is(await browser.cookie(), '')
  t.is((await browser.get('/account')).status, 401)
  t.is((await browser.send('/account', `${ours}; ${old}`)).status, 401)
})

test('08-coming-from-koa-session: who signs in again has given the password', async (t) => {
  const browser = (await example(t, '08-coming-from-koa-session.ts')).browser()
  await browser.get('/before/ada', { method: 'POST' })
  await browser.get('/login/ada', { method: 'POST' })

  t.deepEqual(JSON.parse((await browser.get('/account')).body), {
    owner: 'ada',
    cart: ['book'],
    asksForPassword: false,
  })
})
