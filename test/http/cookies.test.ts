import { request as httpRequest } from 'node:http'
import test from 'ava'
import Keygrip from 'keygrip'
import { MAX_VERIFIED } from '../../src/cookie/request-cookie.ts'
import { KEYS } from '../support/app.ts'
import { hear, keyIn, mounted, valueIn, type Handler } from '../support/mounted.ts'

const handlers: Readonly<Record<string, Handler>> = {
  '/n': ({ data }) => (data.n = (data.n ?? 0) + 1),
  '/origin': ({ origin }) => origin,
  '/data': ({ data }) => data,
  '/unseen': () => 'unseen',
}

const keygrip = new Keygrip([...KEYS], 'sha256')
/** A cookie that we signed, of a session that never was. */
const unknown = (at: number): string => `${at}${'u'.repeat(31)}.${keygrip.sign(`sid=${at}${'u'.repeat(31)}`)}`

test('every single byte of id and signature counts, and a forged cookie never reaches the store', async (t) => {
  const app = await mounted(t, {}, handlers)
  const value = valueIn((await app.browser().get('/n')).setCookie[0])
  app.store.counted()
  for (let at = 0; at < value.length; at++) {
    const forged = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1)
    const { body, setCookie } = await app.browser().send('/origin', `sid=${forged}`)
    t.is(body, 'invalid', `byte ${at}`)
    t.deepEqual(setCookie, [])
  }

  t.deepEqual(app.store.counted(), {})
})

test('a value that is quoted, percent-encoded, cut, padded or empty is invalid and never reaches the store', async (t) => {
  const app = await mounted(t, {}, handlers)
  const value = valueIn((await app.browser().get('/n')).setCookie[0])
  app.store.counted()
  for (const other of [
    `"${value}"`,
    encodeURIComponent(`${value} `),
    value.replace('.', '%2E'),
    value.slice(0, -1),
    `${value}=`,
    `${value}x`,
    value.replace('.', ''),
    '',
    'null',
    '../../etc/passwd',
    '1',
    'x'.repeat(8000),
  ]) {
    t.is((await app.browser().send('/origin', `sid=${other}`)).body, 'invalid', other)
  }

  t.deepEqual(app.store.counted(), {})
})

test('cookies of other names are none of ours', async (t) => {
  const app = await mounted(t, {}, handlers)
  const value = valueIn((await app.browser().get('/n')).setCookie[0])

  for (const header of [
    `SID=${value}`,
    `xsid=${value}`,
    `sid.sig=${value}`,
    `other="; sid2=${value}`,
    `a=sid=${value}`,
  ])
    t.is((await app.browser().send('/origin', header)).body, 'new', header)
})

test('a cookie of an ended session is expired, costs one read, and is neither adopted nor cleared', async (t) => {
  const app = await mounted(t, {}, handlers)
  const cookie = `sid=${unknown(1)}`
  const looked = await app.browser().send('/origin', cookie)
  t.is(looked.body, 'expired')
  t.deepEqual(looked.setCookie, [])
  t.deepEqual(app.store.counted(), { read: 1 })

  const begun = await app.browser().send('/n', cookie)
  t.not(valueIn(begun.setCookie[0]).split('.')[0], unknown(1).split('.')[0])
})

test('a bad cookie of our name does not hide a good one behind it', async (t) => {
  const app = await mounted(t, {}, handlers)
  const good = valueIn((await app.browser().get('/n')).setCookie[0])

  for (const bad of ['bad', `${'f'.repeat(32)}.${'f'.repeat(43)}`, unknown(1), '"quoted"', '']) {
    t.is((await app.browser().send('/data', `sid=${bad}; sid=${good}`)).body, '{"n":1}', bad)
    t.is((await app.browser().send('/data', `sid=${good}; sid=${bad}`)).body, '{"n":1}', bad)
  }
})

test.serial('of several live sessions the first of the header is taken, and an event names the others', async (t) => {
  const app = await mounted(t, {}, { ...handlers, '/name': (session) => (session.data.name = session.publicId) })
  const [one, other] = [
    valueIn((await app.browser().get('/name')).setCookie[0]),
    valueIn((await app.browser().get('/name')).setCookie[0]),
  ]
  const heard = hear(t, 'reject')
  const first = JSON.parse((await app.browser().send('/data', `sid=${one}; sid=${other}`)).body) as { name: string }
  const second = JSON.parse(
    (await app.browser().send('/data', `sid=${unknown(1)}; sid=${other}; sid=${one}`)).body,
  ) as { name: string }

  t.not(first.name, second.name)
  t.deepEqual(
    heard.map(([, { reason, publicId }]) => [
      reason,
      publicId === first.name ? 'first' : publicId === second.name ? 'second' : 'unknown',
    ]),
    [
      ['duplicate', 'second'],
      ['ended', 'unknown'],
      ['duplicate', 'first'],
    ],
  )
})

test('one session whose cookie comes twice is read once', async (t) => {
  const app = await mounted(t, {}, handlers)
  const value = valueIn((await app.browser().get('/n')).setCookie[0])
  app.store.counted()

  t.is((await app.browser().send('/data', `sid=${value}; sid=${value}`)).body, '{"n":1}')
  t.deepEqual(app.store.counted(), { read: 1 })
})

test('at most four cookies of our name are verified, whatever the header holds, and each with one HMAC a key', async (t) => {
  let signatures = 0
  const counting = { sign: (data: string) => (signatures++, keygrip.sign(data)), index: () => -1 }
  const app = await mounted(t, { keys: counting }, handlers)
  signatures = 0
  const many = Array.from({ length: 150 }, (_, at) => `sid=${String(at).padStart(32, 'f')}.${'f'.repeat(43)}`).join(
    '; ',
  )
  const { status, body } = await app.browser().send('/origin', many)

  t.true(many.length > 12_000)
  t.deepEqual([status, body], [200, 'invalid'])
  t.is(signatures, MAX_VERIFIED)
  t.deepEqual(app.store.counted(), {})
})

test('malformed cookies do not count among the four, the fifth of the right shape is not looked at', async (t) => {
  const app = await mounted(t, {}, handlers)
  const good = valueIn((await app.browser().get('/n')).setCookie[0])
  const bad = 'sid=bad; '.repeat(200)
  const forged = (count: number): string => `sid=${'f'.repeat(32)}.${'f'.repeat(43)}; `.repeat(count)

  t.is((await app.browser().send('/data', `${bad}${forged(3)}sid=${good}`)).body, '{"n":1}')
  t.is((await app.browser().send('/origin', `${forged(4)}sid=${good}`)).body, 'invalid')
})

test('one HMAC verifies a good cookie, one signs a new one', async (t) => {
  let signatures = 0
  const counting = { sign: (data: string) => (signatures++, keygrip.sign(data)), index: () => -1 }
  const app = await mounted(t, { keys: counting }, handlers)
  const browser = app.browser()
  signatures = 0
  await browser.get('/n')
  t.is(signatures, 1)
  await browser.get('/n')
  t.is(signatures, 2)
  await app.browser().get('/origin')
  t.is(signatures, 2, 'a visitor without a cookie costs none')
})

test('Node joins two Cookie headers, and both are looked through', async (t) => {
  const app = await mounted(t, {}, handlers)
  const good = valueIn((await app.browser().get('/n')).setCookie[0])
  const body = await new Promise<string>((resolve, reject) => {
    const request = httpRequest(
      `${app.url}/data`,
      { headers: ['Host', 'localhost', 'Cookie', 'a=1', 'Cookie', `sid=${good}`] },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => resolve(text))
      },
    )
    request.on('error', reject).end()
  })

  t.is(body, '{"n":1}')
})

test('the cookie goes out when it changes something, and not again', async (t) => {
  const app = await mounted(t, {}, handlers)
  const browser = app.browser()

  t.is((await browser.get('/n')).setCookie.length, 1)
  for (const path of ['/n', '/data', '/unseen']) t.deepEqual((await browser.get(path)).setCookie, [], path)
})

test('a session that cannot be read does not hide a live one behind it', async (t) => {
  const app = await mounted(t, {}, handlers)
  const [bad, good] = [(await app.browser().get('/n')).setCookie[0], (await app.browser().get('/n')).setCookie[0]]
  const record = await app.store.read(keyIn(bad), Date.now())
  if (record === undefined) return t.fail('not stored')
  await app.store.replace({ ...record, version: 2, payload: 'cut off' }, 1, Date.now())

  t.is((await app.browser().send('/data', `sid=${valueIn(bad)}; sid=${valueIn(good)}`)).body, '{"n":1}')
})

test('an id in the URL, in the body, or in another header opens nothing', async (t) => {
  const app = await mounted(t, { koaSession: true }, handlers)
  const value = valueIn((await app.browser().get('/n')).setCookie[0])
  app.store.counted()
  const form = { method: 'POST', body: new URLSearchParams({ sid: value }) }
  const headers = {
    sid: value,
    'x-session-id': value,
    'set-cookie': `sid=${value}`,
    cookie2: `sid=${value}`,
    authorization: `Bearer ${value}`,
  }

  t.is((await app.browser().get(`/origin?sid=${value}&session=${value}`)).body, 'new')
  t.is((await app.browser().get('/origin', form)).body, 'new')
  t.is((await app.browser().get('/origin', { headers })).body, 'new')
  t.deepEqual(app.store.counted(), {})
})
