// What functions among the options may answer, and what the larger options become.
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import type { Context } from 'koa'
import { settingsOf } from '../../src/settings.ts'

const SECRET = 'hunter2 hunter2 hunter2'
const ctx = { req: { headers: {} } } as unknown as Context

for (const name of ['skip', 'passive'] as const)
  test(`${name} is taken by its truth, and a promise, which is always true, is refused`, (t) => {
    const asked = (answer: unknown): boolean | undefined => {
      const settings = settingsOf({ [name]: () => answer })
      return (name === 'skip' ? settings.skips : settings.passive)?.(ctx)
    }

    for (const answer of [true, 1, 'yes', ['a match']]) t.true(asked(answer))
    for (const answer of [false, undefined, null, 0]) t.false(asked(answer))
    for (const answer of [Promise.resolve(false), { then: () => undefined }])
      t.throws(() => asked(answer), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: new RegExp(
          `^the result of options\\.${name} must be true or false, got a promise: it must answer at once, so it cannot be async$`,
        ),
      })
  })

test('a cookie function that gives no object of attributes is refused in that request', (t) => {
  for (const answer of [
    undefined,
    null,
    [],
    new Map([['secure', true]]),
    new Date(),
    () => ({}),
    Promise.resolve({}),
  ]) {
    const { cookie } = settingsOf({ cookie: () => answer })
    t.throws(() => (cookie as (ctx: Context) => unknown)(ctx), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^options\.cookie\(ctx\) must be an object of attributes/,
    })
  }
})

test('the owner that data names is checked at each use', (t) => {
  const owner = (answer: unknown): string | undefined => settingsOf({ owner: () => answer }).owner?.({})

  t.is(owner('ada'), 'ada')
  t.is(owner(undefined), undefined)
  for (const answer of [null, 5, Promise.resolve('ada')])
    t.throws(() => owner(answer), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => owner(''), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('generateId is tried when session() is called, and checked at each use', (t) => {
  for (const id of [
    'x'.repeat(21),
    'x'.repeat(129),
    `user:${'x'.repeat(32)}`,
    Promise.resolve('x'.repeat(32)),
    undefined,
  ])
    t.throws(() => settingsOf({ generateId: () => id }), {
      message: /^the result of options\.generateId must be 22 to 128/,
    })
  let calls = 0
  const { generateId } = settingsOf({ generateId: () => (++calls > 2 ? 'short' : 'x'.repeat(22)) })
  t.is(calls, 1)
  t.is(generateId(), 'x'.repeat(22))
  t.throws(() => generateId(), { message: /^the result of options\.generateId must be/ })
})

test('what the promise of a function rejects with, which had to answer at once, does not end the process', async (t) => {
  const unhandled: unknown[] = []
  const listen = (reason: unknown): unknown => unhandled.push(reason)
  process.on('unhandledRejection', listen)
  t.teardown(() => process.off('unhandledRejection', listen))
  const failing = (): never => Promise.reject(new Error('too late')) as never
  const settings = settingsOf({
    skip: failing,
    passive: failing,
    cookie: failing,
    owner: failing,
    device: failing,
    now: failing,
    crossSite: { trust: failing },
  })

  const uses = [
    () => settings.skips?.(ctx),
    () => settings.passive?.(ctx),
    () => typeof settings.cookie === 'function' && settings.cookie(ctx),
    () => settings.owner?.({}),
    () => settings.device?.(ctx),
    () => settings.now(),
    () => settings.trusts?.(() => ctx, undefined),
    () => settingsOf({ generateId: failing }),
    () => settingsOf({ codec: { stringify: failing, parse: JSON.parse } }),
  ]
  for (const use of uses) t.throws(use, { message: /, got a promise: it must answer at once/ })
  // Node tells of unhandled rejections once the microtasks are done.
  await setImmediate()
  t.deepEqual(unhandled, [])
})

test('a codec whose stringify gives no text is refused when session() is called', (t) => {
  for (const text of [undefined, null, Buffer.from('{}'), {}] as unknown[])
    t.throws(() => settingsOf({ codec: { stringify: () => text as string, parse: JSON.parse } }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^the result of options\.codec\.stringify must be a string, got /,
    })
  const failing = (): never => {
    throw new Error('not this value')
  }
  t.notThrows(() => settingsOf({ codec: { stringify: failing, parse: JSON.parse } }))
})

test('the clock gives a finite number, and fractions are cut off', (t) => {
  const now = (answer: unknown): number => settingsOf({ now: () => answer }).now()

  t.is(now(5.9), 5)
  for (const answer of [NaN, Infinity, -Infinity, undefined, null, 'soon', 5n, new Date(7), Promise.resolve(5)])
    t.throws(() => now(answer), { code: 'ERR_INVALID_ARG_TYPE', message: /^the result of options\.now must be/ })
})

test.serial('the default clock is looked up at each call', (t) => {
  const { now } = settingsOf({})
  const real = Date.now
  Date.now = () => 42
  t.teardown(() => (Date.now = real))

  t.is(now(), 42)
})

test('device: true is the address and the user agent, cut and never refused', (t) => {
  const facts = (userAgent: string | undefined, ip = '192.0.2.1'): unknown =>
    settingsOf({ device: true }).device?.({ ip, req: { headers: { 'user-agent': userAgent } } } as unknown as Context)

  t.deepEqual(facts('Firefox'), { address: '192.0.2.1', userAgent: 'Firefox' })
  t.deepEqual(facts(undefined), { address: '192.0.2.1' })
  t.deepEqual(facts('"'.repeat(5000), '9'.repeat(5000)), { address: '9'.repeat(100), userAgent: '"'.repeat(512) })
})

test('a device function gives what JSON keeps, at most 1024 bytes of it', (t) => {
  const facts = (answer: unknown): unknown => settingsOf({ device: () => answer as object }).device?.(ctx)

  t.deepEqual(facts({ name: 'phone', gone: undefined, at: new Date(0) }), {
    name: 'phone',
    at: '1970-01-01T00:00:00.000Z',
  })
  t.notThrows(() => facts({ a: 'x'.repeat(1016) }))
  t.throws(() => facts({ a: 'x'.repeat(1017) }), { code: 'ERR_SESSION_TOO_LARGE' })
  t.throws(() => facts({ a: 'é'.repeat(600) }), { code: 'ERR_SESSION_TOO_LARGE' })
  for (const answer of [undefined, null, 'phone', ['phone'], Promise.resolve({}), new Map(), { toJSON: () => 'phone' }])
    t.throws(() => facts(answer), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(settingsOf({ device: false }).device, undefined)
})

test('crossSite trusts the listed origins, or what a function says at once', (t) => {
  const trusts = (crossSite: unknown, origin: string | undefined): boolean | undefined =>
    settingsOf({ crossSite }).trusts?.(() => ctx, origin)

  t.is(settingsOf({ crossSite: 'allow' }).trusts, undefined)
  t.false(trusts(undefined, 'https://pay.example'))
  const listed = { trust: ['HTTPS://Pay.example:443', 'chrome-extension://abc'] }
  t.true(trusts(listed, 'https://pay.example'))
  t.true(trusts(listed, 'chrome-extension://abc'))
  for (const origin of ['https://pay.example.evil', 'http://pay.example', 'null', '', undefined])
    t.false(trusts(listed, origin))
  t.true(trusts({ trust: () => true }, 'null'))
  for (const answer of [undefined, 1, Promise.resolve(true)])
    t.throws(() => trusts({ trust: () => answer }, 'null'), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('clearSiteData is written as the header wants it', (t) => {
  t.is(settingsOf({ clearSiteData: ['cache', 'storage', 'cache'] }).clearSiteData, '"cache", "storage"')
  t.is(settingsOf({ clearSiteData: [] }).clearSiteData, undefined)
})

test('deviceBound lies below the path of the cookie', (t) => {
  t.deepEqual(settingsOf({ deviceBound: true }).deviceBound, { within: 600_000, path: '/.session/device' })
  t.deepEqual(
    settingsOf({ deviceBound: { path: '/app/device' }, cookie: { path: '/app' } }).deviceBound?.path,
    '/app/device',
  )
  for (const path of ['/app', '/app/'])
    t.throws(() => settingsOf({ deviceBound: true, cookie: { path } }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /^options\.deviceBound\.path must lie below the path of the cookie/,
    })
  t.throws(() => settingsOf({ deviceBound: { path: '/application' }, cookie: { path: '/app' } }))
  t.is(settingsOf({ deviceBound: false }).deviceBound, undefined)
  t.is(settingsOf({ deviceBound: { path: '/.a/b..' } }).deviceBound?.path, '/.a/b..')
})

test('encryption is a list of keys, or an object with its switches', (t) => {
  t.deepEqual(settingsOf({ encryptionKeys: [SECRET] }).encryption, {
    keys: [SECRET],
    encrypt: true,
    acceptPlain: false,
    onUnknownKey: 'fail',
  })
  t.like(settingsOf({ encryptionKeys: { keys: [SECRET], encrypt: false, onUnknownKey: 'end' } }).encryption, {
    encrypt: false,
    acceptPlain: false,
    onUnknownKey: 'end',
  })
})
