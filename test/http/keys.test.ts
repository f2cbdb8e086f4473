import test from 'ava'
import Keygrip from 'keygrip'
import Koa from 'koa'
import { session, type SessionOptions } from '../../src/index.ts'
import { served } from '../support/app.ts'
import { answering, mounted, valueIn, type Handler, type Things } from '../support/mounted.ts'

const NEW = 'the newest secret of this test'
const OLD = 'an older secret of this test'
const count: Readonly<Record<string, Handler>> = {
  '/': ({ data }) => (data.n = (data.n ?? 0) + 1),
  '/look': ({ origin }) => origin,
}

const signed = (value: string): [id: string, signature: string] => value.split('.') as [string, string]

test('a cookie is signed as Keygrip with SHA-256 signs name=id', async (t) => {
  const keys = [NEW, OLD]
  const app = await mounted(t, { keys, cookie: { name: 'app.sid' } }, count)
  const [id, signature] = signed(valueIn((await app.browser().get('/')).setCookie[0]))

  t.is(signature, new Keygrip(keys, 'sha256').sign(`app.sid=${id}`))
  t.regex(id, /^[\w-]{32}$/)
})

test('a cookie of another name is not ours, though it was signed by us', async (t) => {
  const app = await mounted(t, { keys: [NEW] }, count)
  const id = 'i'.repeat(32)
  const { body } = await app.browser().send('/look', `sid=${id}.${new Keygrip([NEW], 'sha256').sign(`other=${id}`)}`)

  t.is(body, 'invalid')
})

const grips: Record<string, () => NonNullable<SessionOptions['keys']>> = {
  'Keygrip of its own defaults (SHA-1)': () => new Keygrip([NEW]),
  'Keygrip with SHA-256': () => new Keygrip([NEW], 'sha256'),
  'Keygrip with SHA-512': () => new Keygrip([NEW], 'sha512'),
  'Keygrip in hex': () => new Keygrip([NEW], 'sha256', 'hex'),
  'Keygrip of bytes': () => new Keygrip([Buffer.from(NEW) as unknown as string], 'sha384'),
  'list with bytes': () => [Buffer.from(NEW), OLD],
}

for (const [what, make] of Object.entries(grips)) {
  test(`a ${what} signs and verifies`, async (t) => {
    const app = await mounted(t, { keys: make() }, count)
    const browser = app.browser()
    await browser.get('/')
    const cookie = await browser.cookie()

    t.is((await browser.get('/')).body, '2')
    t.is((await browser.send('/look', `${cookie.slice(0, -1)}${cookie.endsWith('A') ? 'B' : 'A'}`)).body, 'invalid')
    t.is((await browser.send('/look', cookie.slice(0, -1))).body, 'invalid')
  })

  test(`a ${what} in app.keys does so too`, async (t) => {
    const koa = new Koa()
    koa.keys = make() as string[]
    koa.use(session<Things>()).use(answering(count))
    const app = await served(t, koa)
    const browser = app.browser()
    await browser.get('/')

    t.is((await browser.get('/')).body, '2')
  })
}

test('a Keygrip of which only sign and index are there will do', async (t) => {
  const keygrip = new Keygrip([NEW, OLD], 'sha256')
  const app = await mounted(
    t,
    { keys: { sign: (data) => keygrip.sign(data), index: (data, digest) => keygrip.index(data, digest) } },
    count,
  )
  const browser = app.browser()
  await browser.get('/')

  t.is((await browser.get('/')).body, '2')
})

const rotations: Record<string, { keys: SessionOptions['keys'] & object; rotate: () => void }> = {
  'a live list': (() => {
    const keys = [OLD]
    return { keys, rotate: () => void keys.unshift(NEW) }
  })(),
  'a live Keygrip': (() => {
    const keys = [OLD]
    return { keys: new Keygrip(keys, 'sha256'), rotate: () => void keys.unshift(NEW) }
  })(),
}

for (const [what, { keys, rotate }] of Object.entries(rotations)) {
  test(`a secret added to ${what} counts from the next request: an older cookie holds and is re-issued whole`, async (t) => {
    const app = await mounted(
      t,
      { keys, maxAge: '1d', cookie: { priority: 'high' }, now: () => 1_800_000_000_000 },
      count,
    )
    const browser = app.browser()
    const first = (await browser.get('/')).setCookie[0] ?? ''
    rotate()
    const { body, setCookie } = await browser.get('/look')
    const [id, signature] = signed(valueIn(setCookie[0]))

    t.is(body, 'resumed')
    t.is(setCookie.length, 1)
    t.is(id, signed(valueIn(first))[0])
    t.is(signature, new Keygrip([NEW], 'sha256').sign(`sid=${id}`))
    t.regex(setCookie[0] ?? '', /^sid=[^;]+; Max-Age=86400; Path=\/; HttpOnly; SameSite=Lax; Priority=High$/)
    t.deepEqual((await browser.get('/look')).setCookie, [])
  })
}

test('a cookie that is re-issued carries what is left of its lifetime', async (t) => {
  const keys = [OLD]
  let now = 1_800_000_000_000
  const app = await mounted(t, { keys, maxAge: '1h', now: () => now }, count)
  const browser = app.browser()
  await browser.get('/')
  keys.unshift(NEW)
  now += 60_000

  t.regex((await browser.get('/look')).setCookie[0] ?? '', /; Max-Age=3540;/)
})

test('a secret that is taken away ends what it signed', async (t) => {
  const keys = [NEW, OLD]
  const app = await mounted(t, { keys }, count)
  const [id] = signed(valueIn((await app.browser().get('/')).setCookie[0]))
  const cookie = `sid=${id}.${new Keygrip([OLD], 'sha256').sign(`sid=${id}`)}`
  t.is((await app.browser().send('/look', cookie)).body, 'resumed')
  keys.pop()

  t.is((await app.browser().send('/look', cookie)).body, 'invalid')
})

test('a change with an older cookie re-issues it in the same response', async (t) => {
  const keys = [OLD]
  const app = await mounted(t, { keys }, count)
  const browser = app.browser()
  await browser.get('/')
  keys.unshift(NEW)
  const { body, setCookie } = await browser.get('/')

  t.is(body, '2')
  t.is(setCookie.length, 1)
  t.deepEqual((await browser.get('/')).setCookie, [])
})

test('app.keys may change with every request, as a list or replaced by another', async (t) => {
  const koa = new Koa()
  koa.keys = [OLD]
  koa.use(session<Things>()).use(answering(count))
  const app = await served(t, koa)
  const browser = app.browser()
  await browser.get('/')
  koa.keys.unshift('in the middle, a third secret')
  t.is((await browser.get('/')).body, '2')
  koa.keys = new Keygrip([NEW, OLD, 'in the middle, a third secret'], 'sha256')
  t.is((await browser.get('/')).body, '3')
  koa.keys = [NEW]
  t.is((await browser.get('/')).body, '4', 'the cookie was re-issued under the newest')
})

test('options.keys come before app.keys', async (t) => {
  const koa = new Koa()
  koa.keys = [OLD]
  koa.use(session<Things>({ keys: [NEW] })).use(answering(count))
  const app = await served(t, koa)
  const [id, signature] = signed(valueIn((await app.browser().get('/')).setCookie[0]))

  t.is(signature, new Keygrip([NEW], 'sha256').sign(`sid=${id}`))
})

const wrong: Record<string, [keys: unknown, message: RegExp]> = {
  missing: [
    undefined,
    /^options\.keys or app\.keys must be a Keygrip or a non-empty list of secrets, newest first, got undefined: give keys to session\(\), or set app\.keys before the first request; below koa-mount the keys of the outer app count$/,
  ],
  empty: [[], /^app\.keys must be a Keygrip or a non-empty list of secrets, newest first, got an empty array$/],
  blank: [
    [NEW, '  '],
    /^app\.keys\[1\] must be a secret of at least one character that is no space; .+, got a string of 2 characters: where it comes from the environment/,
  ],
  'a string': [NEW, /^app\.keys must be a Keygrip .+, got a string of 30 characters: put it into a list, \[secret\]$/],
}

for (const [what, [keys, message]] of Object.entries(wrong)) {
  test(`app.keys that are ${what} answer 500 with an error that says so, and no secret`, async (t) => {
    const koa = new Koa()
    koa.use(session<Things>()).use(answering(count))
    const app = await served(t, koa)
    koa.keys = keys as string[]

    t.is((await app.browser().get('/')).status, 500)
    t.regex((app.errors[0] as Error).message, message)
  })
}

test('a live list that is emptied answers 500 from the next request on', async (t) => {
  const keys = [NEW]
  const app = await mounted(t, { keys }, count)
  t.is((await app.browser().get('/')).status, 200)
  keys.pop()

  t.is((await app.browser().get('/')).status, 500)
  t.like(app.errors[0], { code: 'ERR_INVALID_ARG_VALUE' })
})
