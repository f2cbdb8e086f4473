// takeOver while old and new processes serve the same people: one logout for both.
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import expressSession from 'express-session'
import { MemoryStore } from '../../src/index.ts'
import { fromExpressSession, fromKoaSession } from '../../src/migrate.ts'
import type { Answer } from '../support/app.ts'
import { ada, after, ours, type Visitor } from '../support/deployed.ts'
import { Device, HTTPS } from '../support/device.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

test('who did not get the first answer joins the same session with the old cookie, and finds what was stored since', async (t) => {
  const app = await after(t, fromKoaSession({ store: new OldStore(ada()) }))
  await app.browser().send('/count', signed('k1'))

  t.is((await app.browser().send('/count', signed('k1'))).body, 'ada {"cart":["book"],"n":2}')
  t.is(app.copies(), 1)
})

test('during the overlap the old cookie and record stay as they are', async (t) => {
  const old = new OldStore(ada())
  const before = structuredClone(old.records.get('k1'))
  const app = await after(t, fromKoaSession({ store: old }))
  const answer = await app.browser().send('/', signed('k1'))
  const again = await app.browser().send('/', `${ours(answer)}; ${signed('k1')}`)

  t.deepEqual(
    answer.setCookie.filter((line) => line.startsWith('koa.')),
    [],
  )
  t.deepEqual(again.setCookie, [])
  t.deepEqual(old.records.get('k1'), before)
})

test('a session ends with its old record: nobody stays signed in here who has signed out there', async (t) => {
  const old = new OldStore(ada())
  const app = await after(t, fromKoaSession({ store: old }))
  const mine = ours(await app.browser().send('/', signed('k1')))
  old.records.delete('k1')
  const answer = await app.browser().send('/', `${mine}; ${signed('k1')}`)

  t.is(answer.body, 'nobody {}')
  t.is((await app.browser().send('/', mine)).body, 'nobody {}')
})

test('destroy ends both, and neither cookie opens anything afterwards', async (t) => {
  const old = new OldStore(ada())
  const copy = structuredClone(old.records.get('k1'))
  const app = await after(t, fromKoaSession({ store: old }))
  const mine = ours(await app.browser().send('/', signed('k1')))
  const answer = await app.browser().send('/logout', `${mine}; ${signed('k1')}`)

  t.deepEqual(answer.setCookie.map((line) => line.split('=')[0]).sort(), ['koa.sess', 'koa.sess.sig', 'sid'])
  t.false(old.records.has('k1'))
  // Even if a process of before writes its record again: it was under way.
  if (copy !== undefined) old.records.set('k1', copy)
  t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}')
  t.is((await app.browser().send('/', `${mine}; ${signed('k1')}`)).body, 'nobody {}')
})

test('destroy in the very request that took over, or joined, ends both', async (t) => {
  for (const joins of [false, true]) {
    const old = new OldStore(ada())
    const app = await after(t, fromKoaSession({ store: old }))
    if (joins) await app.browser().send('/', signed('k1'))
    await app.browser().send('/logout', signed('k1'))

    t.false(old.records.has('k1'))
    t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}')
  }
})

test('ctx.session = null of koa-session, and an object after it, end both', async (t) => {
  for (const path of ['/null', '/null/anew', '/null/refuse', '/null/fail'])
    for (const isFirst of [true, false]) {
      const old = new OldStore(ada())
      const app = await after(t, fromKoaSession({ store: old }), { koaSession: true })
      const mine = isFirst ? '' : ours(await app.browser().send('/', signed('k1')))
      const answer = await app.browser().send(path, `${mine}; ${signed('k1')}`)

      const name = `${path} ${isFirst ? 'at the take-over' : 'later'}`
      t.is(old.records.has('k1'), path === '/null/fail', name)
      // Koa's own response to an error keeps no header that was set: the next response clears the cookies.
      t.is(answer.setCookie.filter((line) => line.startsWith('koa.')).length, answer.status === 200 ? 2 : 0, name)
      const expected = path === '/null/fail' ? 'ada {"cart":["book"]}' : 'nobody {}'
      t.is((await app.browser().send('/', signed('k1'))).body, expected, name)
      if (path === '/null/anew') t.is((await app.browser().send('/', ours(answer))).body, 'nobody {"n":1}', name)
      else if (!isFirst) t.is((await app.browser().send('/', mine)).body, expected, name)
    }
})

test('an object after ctx.session = null ends the old session also where it is stored at once, and nobody has signed in', async (t) => {
  const paths = ['/null/anew', '/null/anew/saved', '/null/anew/saved/fail', '/null/anew/forwarded', '/forwarded']
  for (const path of paths) {
    const old = new OldStore(['k1', { cart: ['book'], _expire: Date.now() + DAY, _maxAge: DAY }])
    const app = await after(t, fromKoaSession({ store: old }), { koaSession: true })
    const mine = ours(await app.browser().send('/', signed('k1')))
    const answer = await app.browser().send(path, `${mine}; ${signed('k1')}`)

    t.false(old.records.has('k1'), path)
    t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}', path)
    t.is((await app.browser().send('/', ours(answer))).body, 'nobody {"n":1}', path)
  }
})

test('an object after ctx.session = null, in the request that takes a visitor over, is kept', async (t) => {
  const old = new OldStore(['k1', { cart: ['book'], _expire: Date.now() + DAY, _maxAge: DAY }])
  const app = await after(t, fromKoaSession({ store: old }), { koaSession: true })
  const answer = await app.browser().send('/null/anew', signed('k1'))

  t.is((await app.browser().send('/', `${ours(answer)}; ${signed('k1')}`)).body, 'nobody {"n":1}')
})

test('a copy of the old cookie neither opens nor ends a session that is bound to a device', async (t) => {
  for (const overlap of [0, '1d'] as const) {
    const old = new OldStore(ada())
    let time = Date.now()
    const now = (): number => time
    const app = await after(t, fromKoaSession({ store: old }), { deviceBound: true, now }, { overlap, now })
    app.app.proxy = true
    const device = new Device(app.browser())
    for (const pair of signed('k1').split('; ')) await device.browser.jar.setCookie(pair, app.url)
    t.is((await device.register(await device.get('/'))).status, 200)
    // Within a minute of the registration, requests are served without a proof.
    time += 61_000

    const thief = await app.browser().send('/', signed('k1'), { headers: HTTPS })

    t.is(thief.body, 'nobody {}')
    t.true(old.records.has('k1'))
    t.is((await device.get('/')).body, 'ada {"cart":["book"]}')
  }
})

test('a request without proof of a bound session keeps the old cookie as long as it keeps ours', async (t) => {
  let time = Date.now()
  const now = (): number => time
  const app = await after(t, fromKoaSession(), { deviceBound: true, koaSession: true, now }, { now })
  app.app.proxy = true
  const device = new Device(app.browser())
  for (const pair of inCookie({ user: 'ada' }).split('; ')) await device.browser.jar.setCookie(pair, app.url)
  t.is((await device.register(await device.get('/'))).status, 200)
  time += 61_000
  const names = ({ setCookie }: Answer): string[] => setCookie.map((line) => line.split('=')[0] ?? '').sort()
  const cookie = await device.browser.cookie()
  const unproven = cookie.replace(/; sid-bound=[^;]+/, '')
  t.not(unproven, cookie)
  const skipped = { headers: { ...HTTPS, 'secure-session-skipped': 'quota_exceeded' } }

  for (const init of [{ headers: HTTPS }, skipped]) {
    const answer = await app.browser().send('/', unproven, init)
    t.is(answer.body, 'nobody {}')
    t.deepEqual(names(answer), [])
  }
  // With its proof it goes on, and the missing old cookie would be a logout there.
  t.is((await device.get('/')).body, 'ada {}')

  for (const path of ['/logout', '/null']) {
    const out = await app.browser().send(path, unproven, { headers: HTTPS })
    t.deepEqual(names(out), ['koa.sess', 'koa.sess.sig', 'sid', 'sid-bound'])
  }
  for (const path of ['/other', '/count', '/become']) {
    const begun = await app.browser().send(path, unproven, { headers: HTTPS })
    t.deepEqual(
      names(begun).filter((name) => name !== 'sid-bound'),
      ['koa.sess', 'koa.sess.sig', 'sid'],
    )
  }
  t.is((await app.browser().send('/count', unproven, skipped)).status, 401)
})

test('of two logouts at once both succeed', async (t) => {
  const old = new OldStore(ada())
  const app = await after(t, fromKoaSession({ store: old }))
  const mine = ours(await app.browser().send('/', signed('k1')))
  const answers = await Promise.all([1, 2, 3].map(() => app.browser().send('/logout', `${mine}; ${signed('k1')}`)))

  t.deepEqual(
    answers.map(({ body }) => body),
    ['done', 'done', 'done'],
  )
  t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}')
})

test('a claim that was damaged in the store keeps nobody out', async (t) => {
  const store = new MemoryStore()
  const create = store.create.bind(store)
  store.create = (record, now) => create(record.payload === '' ? { ...record, meta: 'damaged' } : record, now)
  const from = fromKoaSession({ store: new OldStore(ada()) })
  t.is((await (await after(t, from, { store })).browser().send('/', signed('k1'))).body, 'ada {"cart":["book"]}')
  store.create = create

  t.not((await (await after(t, from, { store })).browser().send('/', signed('k1'))).status, 503)
})

test('a new id keeps both together, and a sign-in as somebody else ends the old session', async (t) => {
  const old = new OldStore(ada())
  const app = await after(t, fromKoaSession({ store: old }))
  const first = ours(await app.browser().send('/', signed('k1')))
  const second = ours(await app.browser().send('/again', `${first}; ${signed('k1')}`))
  t.not(second, first)
  t.is((await app.browser().send('/', signed('k1'))).body, 'ada {"cart":["book"]}')
  t.is(app.copies(), 1)

  const answer = await app.browser().send('/other', `${second}; ${signed('k1')}`)
  t.is(answer.body, 'eve {}')
  t.false(old.records.has('k1'))
  t.is((await app.browser().send('/', ours(answer))).body, 'eve {}')

  const record = ada()
  old.records.set('k2', record[1])
  const third = ours(await app.browser().send('/again', ours(await app.browser().send('/', signed('k2')))))
  old.records.delete('k2')
  t.is((await app.browser().send('/', third)).body, 'nobody {}')
})

test('a request beside one that has just got a new id changes nothing, ends nothing and replaces no cookie', async (t) => {
  for (const [overlap, later] of [
    [0, 0],
    ['1d', 0],
    ['1d', 15_000],
  ] as const) {
    const old = new OldStore(ada())
    let time = Date.now()
    const now = (): number => time
    const app = await after(t, fromKoaSession({ store: old }), { now }, { overlap, now })
    const held = new Promise<() => void>((resolve) => app.app.once('hold', resolve))
    const first = app.browser().send('/hold', signed('k1'))
    const goOn = await held
    time += later
    const read = await app.browser().send('/', signed('k1'))
    const changed = await app.browser().send('/count', signed('k1'))
    goOn()
    const mine = ours(await first)

    t.is(read.body, 'nobody {}')
    t.is(changed.status, 409)
    t.deepEqual([...read.setCookie, ...changed.setCookie], [])
    t.true(old.records.has('k1'))
    t.is((await app.browser().send('/', mine)).body, 'ada {"cart":["book"]}')
  }
})

test('an old session whose store failed at its end is ended by the next request, whoever that is', async (t) => {
  for (const path of ['/other', '/logout']) {
    const old = new OldStore(ada())
    const app = await after(t, fromKoaSession({ store: old }))
    const browser = app.browser()
    for (const pair of signed('k1').split('; ')) await browser.jar.setCookie(pair, app.url)
    await browser.get('/')
    Object.assign(old, { destroy: () => Promise.reject(new Error('ECONNREFUSED')) })
    t.is((await browser.get(path)).status, 503)
    t.true(old.records.has('k1'))
    Reflect.deleteProperty(old, 'destroy')

    t.is((await browser.get('/')).body, path === '/other' ? 'eve {}' : 'nobody {}')
    t.false(old.records.has('k1'))
    t.false((await browser.cookie()).includes('koa.sess'))
  }
})

test('where data names the owner: another owner in it, or none, ends the old session as well', async (t) => {
  const owners: Record<string, string> = { '/become': 'eve', '/forget': 'nobody', '/refuse': 'nobody' }
  for (const path of ['/become', '/forget', '/refuse', '/fail', '/count']) {
    const old = new OldStore(ada())
    const owner = ({ user }: Visitor): string | undefined => user
    const goOn = ({ data }: { data: Visitor }, { user }: Record<string, unknown>): void => {
      data.user = String(user)
    }
    const app = await after(t, fromKoaSession({ store: old }), { owner }, { goOn })
    const first = ours(await app.browser().send('/', signed('k1')))
    const answer = await app.browser().send(path, `${first}; ${signed('k1')}`)

    t.is(old.records.has('k1'), path === '/fail' || path === '/count', path)
    const next = answer.setCookie.some((line) => line.startsWith('sid=')) ? ours(answer) : first
    const shown = await app.browser().send('/', next)
    t.is(shown.body.split(' ')[0], owners[path] ?? 'ada', path)
  }
})

test('who signed out here and in again there is taken over again', async (t) => {
  const old = new OldStore(ada())
  const app = await after(t, fromKoaSession({ store: old }))
  const mine = ours(await app.browser().send('/', signed('k1')))
  await app.browser().send('/logout', `${mine}; ${signed('k1')}`)
  old.records.set('k2', { user: 'bob', _expire: Date.now() + DAY, _maxAge: DAY })

  t.is((await app.browser().send('/', `${mine}; ${signed('k2')}`)).body, 'bob {}')
})

test('who signed out there and in again there is taken over again', async (t) => {
  const old = new OldStore(ada())
  const app = await after(t, fromKoaSession({ store: old }))
  const mine = ours(await app.browser().send('/', signed('k1')))
  old.records.delete('k1')
  old.records.set('k2', { user: 'bob', _expire: Date.now() + DAY, _maxAge: DAY })
  const answer = await app.browser().send('/', `${mine}; ${signed('k2')}`)

  t.is(answer.body, 'bob {}')
  t.deepEqual(
    answer.setCookie.map((line) => line.split('=')[0]),
    ['sid'],
  )
  t.true(old.records.has('k2'))
  t.is((await app.browser().send('/', mine)).body, 'nobody {}')
})

test('after the overlap the old record ends and the old cookies are cleared, and the session goes on', async (t) => {
  const old = new OldStore(['k1', { user: 'ada', _expire: Date.now() + 9 * DAY, _maxAge: 9 * DAY }])
  let now = Date.now()
  const app = await after(t, fromKoaSession({ store: old }), { now: () => now }, { now: () => now })
  const mine = ours(await app.browser().send('/', signed('k1')))
  now += DAY + 1
  const answer = await app.browser().send('/', `${mine}; ${signed('k1')}`)

  t.is(answer.body, 'ada {}')
  t.deepEqual(answer.setCookie.map((line) => line.split('=')[0]).sort(), ['koa.sess', 'koa.sess.sig'])
  t.false(old.records.has('k1'))
  t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}')
})

test('an old session that merely expires does not take the new one along, where that lives longer', async (t) => {
  const old = new OldStore(['k1', { user: 'ada', _expire: Date.now() + DAY / 24, _maxAge: DAY / 24 }])
  let now = Date.now()
  const app = await after(
    t,
    fromKoaSession({ store: old }),
    { now: () => now, rolling: true, maxAge: '1h' },
    { now: () => now },
  )
  let mine = ours(await app.browser().send('/', signed('k1')))
  for (let minute = 0; minute < 90; minute += 30) {
    now += DAY / 48
    const answer = await app.browser().send('/', mine)
    t.is(answer.body, 'ada {}')
    if (answer.setCookie.length > 0) mine = ours(answer)
  }
})

test('an old session whose end is no instant goes on without an end, as with its own middleware', async (t) => {
  const koa = fromKoaSession({ store: new OldStore(['k1', { user: 'ada', _expire: NaN }]) })
  const held = { user: 'ada', cookie: { expires: new Date(NaN) } }
  const express = fromExpressSession({
    secret: 'a secret',
    store: { get: (_, callback) => callback(null, held), set: (_, __, callback) => callback() },
  })
  const signature = createHmac('sha256', 'a secret').update('k1').digest('base64').slice(0, 43)
  for (const [from, cookie] of [
    [koa, signed('k1')],
    [express, `connect.sid=${encodeURIComponent(`s:k1.${signature}`)}`],
  ] as const) {
    const app = await after(t, from)
    const first = await app.browser().send('/', cookie)
    t.is(first.body, 'ada {}')

    t.is((await app.browser().send('/', `${ours(first)}; ${cookie}`)).body, 'ada {}')
  }
})

test('a cookie that holds the session itself: signing out there takes the cookie away, and the session ends here', async (t) => {
  const app = await after(t, fromKoaSession())
  const cookie = inCookie({ user: 'ada' })
  const mine = ours(await app.browser().send('/', cookie))
  t.is((await app.browser().send('/', `${mine}; ${cookie}`)).body, 'ada {}')

  t.is((await app.browser().send('/', mine)).body, 'nobody {}')
  t.is((await app.browser().send('/', `${mine}; ${cookie}`)).body, 'nobody {}')
})

test('a cookie that holds the session itself is missed only where the browser would send it', async (t) => {
  const app = await after(t, fromKoaSession(), {}, { cookie: { path: '/shop' } })
  const cookie = inCookie({ user: 'ada' })
  const mine = ours(await app.browser().send('/shop', cookie))

  for (const path of ['/', '/shopping', '/sho', '/SHOP'])
    t.is((await app.browser().send(path, mine)).body, 'ada {}', path)
  for (const path of ['/shop', '/shop/cart', '/shop?a'])
    t.is((await app.browser().send(path, `${mine}; ${cookie}`)).body, 'ada {}', path)
  t.is((await app.browser().send('/shop/cart', mine)).body, 'nobody {}')
})

test('a cookie that holds the session itself is not missed in a request of another site: SameSite may have kept it', async (t) => {
  const app = await after(t, fromKoaSession())
  const cookie = inCookie({ user: 'ada' })
  const mine = ours(await app.browser().send('/', cookie))
  const followed = await app.browser().send('/', mine, { headers: { 'sec-fetch-site': 'cross-site' } })

  t.is(followed.body, 'ada {}')
  t.deepEqual(followed.setCookie, [])
  t.is((await app.browser().send('/', `${mine}; ${cookie}`)).body, 'ada {}')
  t.is((await app.browser().send('/', mine, { headers: { 'sec-fetch-site': 'same-site' } })).body, 'nobody {}')
})

test('a logout, and a new id, of a request that came without the old cookie count for it all the same', async (t) => {
  const app = await after(t, fromKoaSession())
  const cookie = inCookie({ user: 'ada' })
  const crossSite = { headers: { 'sec-fetch-site': 'cross-site' } }
  const cleared = ({ setCookie }: Answer): string[] =>
    setCookie.map((line) => line.split('=')[0] ?? '').filter((name) => name.startsWith('koa.'))
  const mine = ours(await app.browser().send('/', cookie))

  const again = await app.browser().send('/again', mine, crossSite)
  t.deepEqual(cleared(again), [])
  const out = await app.browser().send('/logout', ours(again), crossSite)

  t.deepEqual(cleared(out).sort(), ['koa.sess', 'koa.sess.sig'])
  t.is((await app.browser().send('/', ours(again))).body, 'nobody {}')
})

test('an unsafe request of another site finds no session by its old cookie: ours would not have been sent', async (t) => {
  const post = { method: 'POST', headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' } }
  const old = new OldStore(ada())
  const app = await after(t, fromKoaSession({ store: old }), {}, { goOn: () => undefined })

  t.is((await app.browser().send('/count', signed('k1'), post)).status, 403)
  t.is((await app.browser().send('/count', signed('k1'))).body, 'nobody {"n":1}')
  t.is((await app.browser().send('/count', signed('k1'), post)).status, 403)
  t.is((await app.browser().send('/logout', signed('k1'), post)).status, 403)
  t.true(old.records.has('k1'))
  t.is((await app.browser().send('/count', signed('k1'), { method: 'POST' })).body, 'nobody {"n":2}')

  const trusting = await after(t, fromKoaSession({ store: old }), { crossSite: { trust: ['https://evil.example'] } })
  t.is((await trusting.browser().send('/count', signed('k1'), post)).body, 'ada {"cart":["book"],"n":1}')
})

test('a session cookie of the old name is refused with words: each would clear the other', async (t) => {
  const old = new OldStore(ada())
  for (const name of ['koa.sess', 'koa.sess.sig']) {
    const app = await after(t, fromKoaSession({ store: old }), { cookie: { name } })
    const answer = await app.browser().send('/', signed('k1'))

    t.is(answer.status, 500)
    t.deepEqual(answer.setCookie, [])
    t.regex((app.errors[0] as Error).message, /the name of the old cookie/)
  }
  t.true(old.records.has('k1'))
})

test('express-session: a store whose socket is missing has failed, and its sessions have not ended', async (t) => {
  const secret = 'what express-session signed with'
  const store = new expressSession.MemoryStore()
  let failure: Error | undefined
  const from = fromExpressSession({
    secret,
    store: {
      get: (sid, callback) => (failure === undefined ? store.get(sid, callback) : callback(failure)),
      set: (sid, session, callback) => store.set(sid, session, callback),
      destroy: (sid, callback) => store.destroy(sid, callback),
    },
  })
  store.set('k1', { user: 'ada', cookie: { originalMaxAge: DAY, expires: new Date(Date.now() + DAY) } } as never)
  const signature = createHmac('sha256', secret).update('k1').digest('base64').replace(/=+$/, '')
  const cookie = `connect.sid=${encodeURIComponent(`s:k1.${signature}`)}`
  const app = await after(t, from)
  const mine = ours(await app.browser().send('/', cookie))

  failure = Object.assign(new Error('connect ENOENT'), { code: 'ENOENT', syscall: 'connect' })
  t.is((await app.browser().send('/', `${mine}; ${cookie}`)).status, 503)
  failure = undefined
  t.is((await app.browser().send('/', `${mine}; ${cookie}`)).body, 'ada {}')
  failure = Object.assign(new Error('open ENOENT'), { code: 'ENOENT', syscall: 'open' })
  t.is((await app.browser().send('/', `${mine}; ${cookie}`)).body, 'nobody {}')
})

test('express-session: a rolling deploy, a rollback and a logout on either side', async (t) => {
  const secret = 'what express-session signed with'
  const store = new expressSession.MemoryStore()
  const middleware = expressSession({ secret, store, resave: false, saveUninitialized: false })
  const server = createServer((request, response) => {
    // Written for Express's request and response, it needs no more than Node's.
    middleware(request as never, response as never, () => {
      const carrier = request as unknown as { session: { user?: string; destroy(done: () => void): void } }
      if (request.url === '/login') carrier.session.user = 'ada'
      if (request.url === '/logout') {
        carrier.session.destroy(() => response.end('done'))
        return
      }
      response.end(carrier.session.user ?? 'nobody')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const before = async (path: string, cookie = ''): Promise<{ body: string; cookie: string }> => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, {
      headers: { cookie },
    })
    return { body: await response.text(), cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
  }
  const app = await after(t, fromExpressSession({ secret, store }))

  const one = (await before('/login')).cookie
  const mine = ours(await app.browser().send('/', one))
  t.is((await before('/', `${mine}; ${one}`)).body, 'ada') // the deploy rolls, or is rolled back
  t.is((await app.browser().send('/', `${mine}; ${one}`)).body, 'ada {}')
  await before('/logout', `${mine}; ${one}`)
  t.is((await app.browser().send('/', mine)).body, 'nobody {}')

  const two = (await before('/login')).cookie
  const theirs = ours(await app.browser().send('/', two))
  await app.browser().send('/logout', `${theirs}; ${two}`)
  t.is((await before('/', two)).body, 'nobody')
})

test('an object after ctx.session = null in the very request of the take-over ends the old session, also of a user whom data alone names', async (t) => {
  for (const path of ['/null', '/null/anew', '/null/anew/saved']) {
    const old = new OldStore(ada())
    const goOn = (current: { data: Visitor }, { user }: Record<string, unknown>): void => {
      if (typeof user === 'string') current.data.user = user
    }
    const app = await after(t, fromKoaSession({ store: old }), { koaSession: true }, { goOn })
    const answer = await app.browser().send(path, signed('k1'))

    t.false(old.records.has('k1'), path)
    t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}', path)
    if (path !== '/null') t.is((await app.browser().send('/', ours(answer))).body, 'nobody {"n":1}', path)
  }
})

test('an old store that sets the lifetime of a session at each read is given the longest one', async (t) => {
  const lifetimes: number[] = []
  class Renewing extends OldStore {
    override async get(key: string, lifetime = 0): Promise<unknown> {
      lifetimes.push(lifetime)
      return super.get(key)
    }
  }
  const app = await after(t, fromKoaSession({ store: new Renewing(ada()) }))
  await app.browser().send('/', signed('k1'))

  t.true(lifetimes.length > 0)
  t.deepEqual(
    lifetimes.filter((lifetime) => lifetime < 400 * DAY),
    [],
  )
})
