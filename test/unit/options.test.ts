import { inspect } from 'node:util'
import test from 'ava'
import Keygrip from 'keygrip'
import type { Context } from 'koa'
import { MemoryStore, session, type SessionOptions } from '../../src/index.ts'
import { DAY } from '../../src/record/lifetime.ts'
import { duration, lifetime } from '../../src/duration.ts'
import { checkedOwner } from '../../src/option-values.ts'
import { settingsOf } from '../../src/settings.ts'

const SECRET = 'hunter2 hunter2 hunter2'
const DURATION = "a duration above 0: milliseconds, or a number with a unit such as '30m', '2h', '7d'"
const OR_FALSE = DURATION.replace('0:', '0, or false:')
const MAX_AGE = "0 or a duration: milliseconds, or a number with a unit such as '30m', '2h', '7d'"
const KEYS = 'a Keygrip or a non-empty list of secrets, newest first'
const BLANK = 'a secret of at least one character that is no space; 32 random ones are good'
const LIFETIME = '0 or from one second to 400 days, the longest that browsers keep a cookie'

const withoutVerb = { create: () => true, read: () => undefined, replace: () => 'done', delete: () => true }

/** Option, wrong value, the end of the code, the rule, and what was got. */
type Wrong = readonly [name: string, value: unknown, code: 'TYPE' | 'VALUE', rule: string, got: string, at?: string]
const wrong: readonly Wrong[] = [
  ['keys', SECRET, 'TYPE', KEYS, 'a string of 23 characters'],
  ['keys', null, 'TYPE', KEYS, 'null'],
  ['keys', { sign: () => SECRET }, 'TYPE', KEYS, 'an object'],
  ['keys', [], 'VALUE', KEYS, 'an empty array'],
  ['keys', [''], 'VALUE', BLANK, 'an empty string', 'keys[0]'],
  ['keys', [SECRET, ' \t '], 'VALUE', BLANK, 'a string of 3 characters', 'keys[1]'],
  ['keys', [SECRET, undefined], 'TYPE', BLANK, 'undefined', 'keys[1]'],
  ['keys', [48213377], 'TYPE', BLANK, 'a number', 'keys[0]'],
  ['keys', 48213377, 'TYPE', KEYS, 'a number'],
  ['keys', [new Uint8Array(0)], 'VALUE', BLANK, 'an object', 'keys[0]'],
  ['encryptionKeys', SECRET, 'TYPE', 'a non-empty list of secrets, newest first', 'a string of 23 characters'],
  ['encryptionKeys', [], 'VALUE', 'a non-empty list of secrets, newest first', 'an empty array'],
  ['encryptionKeys', [SECRET, ''], 'VALUE', BLANK, 'an empty string', 'encryptionKeys[1]'],
  ['encryptionKeys', [48213377], 'TYPE', BLANK, 'a number', 'encryptionKeys[0]'],
  ['encryptionKeys', 48213377, 'TYPE', 'a non-empty list of secrets, newest first', 'a number'],
  ['encryptionKeys', [null], 'TYPE', BLANK, 'null', 'encryptionKeys[0]'],
  ['store', null, 'TYPE', 'a session store', 'null'],
  ['store', 'redis://user:hunter2@host', 'TYPE', 'a session store', 'a string of 25 characters'],
  ['store', {}, 'TYPE', 'a function', 'undefined', 'store.create'],
  ['store', withoutVerb, 'TYPE', 'a function', 'undefined', 'store.touch'],
  ['cookie', 'sid', 'TYPE', 'an object of attributes or a function of ctx', 'a string of 3 characters'],
  [
    'cookie',
    { path: 'in' },
    'VALUE',
    'a path that begins with / and has at most 1024 characters',
    'a string of 2 characters',
    'cookie.path',
  ],
  ['maxAge', -1, 'VALUE', MAX_AGE, '-1'],
  ['maxAge', NaN, 'VALUE', MAX_AGE, 'NaN'],
  ['maxAge', Infinity, 'VALUE', MAX_AGE, 'Infinity'],
  ['maxAge', 'soon', 'VALUE', MAX_AGE, 'a string of 4 characters'],
  ['maxAge', null, 'TYPE', MAX_AGE, 'null'],
  ['maxAge', 999, 'VALUE', LIFETIME, '999'],
  ['maxAge', '401d', 'VALUE', LIFETIME, 'a string of 4 characters'],
  ['maxAge', 400 * DAY + 1, 'VALUE', LIFETIME, '34560000001'],
  ['idleTimeout', 0, 'VALUE', DURATION, '0'],
  ['idleTimeout', false, 'TYPE', DURATION, 'false'],
  ['idleTimeout', '2 hours', 'VALUE', DURATION, 'a string of 7 characters'],
  ['absoluteTimeout', 0, 'VALUE', OR_FALSE, '0'],
  ['absoluteTimeout', true, 'TYPE', OR_FALSE, 'true'],
  ['absoluteTimeout', '-1d', 'VALUE', OR_FALSE, 'a string of 3 characters'],
  ['deviceBound', Promise.resolve({}), 'TYPE', 'true, false or an object { within, path }', 'a promise'],
  ['logger', Promise.resolve({}), 'TYPE', 'an object with some of debug, info, warn and error', 'a promise'],
  ['storeTimeout', 0, 'VALUE', DURATION, '0'],
  ['storeTimeout', '30d', 'VALUE', 'at most 24 days', 'a string of 3 characters'],
  ['sweepInterval', 0, 'VALUE', OR_FALSE, '0'],
  ['sweepInterval', true, 'TYPE', OR_FALSE, 'true'],
  ['sweepInterval', '5w', 'VALUE', 'at most 24 days', 'a string of 2 characters'],
  ['rolling', 1, 'TYPE', 'true or false', 'a number'],
  ['lazy', 'no', 'TYPE', 'true or false', 'a string of 2 characters'],
  ['koaSession', {}, 'TYPE', 'true or false', 'an object'],
  ['stateKey', 5, 'TYPE', 'a name', 'a number'],
  ['stateKey', '', 'VALUE', 'a name', 'an empty string'],
  ['stateKey', '__proto__', 'VALUE', 'a name', 'a string of 9 characters'],
  ['passive', 'x', 'TYPE', 'a function', 'a string of 1 characters'],
  ['maxPerOwner', 0, 'VALUE', 'a whole number of sessions, at least 1', '0'],
  ['maxPerOwner', 2.5, 'VALUE', 'a whole number of sessions, at least 1', '2.5'],
  ['maxPerOwner', '3', 'TYPE', 'a whole number of sessions, at least 1', 'a string of 1 characters'],
  ['device', {}, 'TYPE', 'true, false or a function of ctx', 'an object'],
  ['crossSite', 'deny', 'VALUE', "'refuse', 'allow' or { trust: [origin] }", 'a string of 4 characters'],
  ['crossSite', [], 'TYPE', "'refuse', 'allow' or { trust: [origin] }", 'an empty array'],
  ['crossSite', {}, 'TYPE', 'a list of origins or a function of ctx', 'undefined', 'crossSite.trust'],
  ...['*', 'pay.example', 'https://pay.example/', 'https://pay.example/x', 'https://u:p@pay.example', 'null', ''].map(
    (origin): Wrong => [
      'crossSite',
      { trust: [origin] },
      'VALUE',
      'an origin without a path',
      origin === '' ? 'an empty string' : `a string of ${origin.length} characters`,
      'crossSite.trust[0]',
    ],
  ),
  ['clearSiteData', 'cache', 'TYPE', "a list of 'cache'", 'a string of 5 characters'],
  ['clearSiteData', ['cookies'], 'VALUE', "one of 'cache'", 'a string of 7 characters', 'clearSiteData[0]'],
  ['deviceBound', 1, 'TYPE', 'true, false or an object { within, path }', 'a number'],
  [
    'deviceBound',
    { within: '299s' },
    'VALUE',
    'at least five minutes',
    'a string of 4 characters',
    'deviceBound.within',
  ],
  ['deviceBound', { path: 'x' }, 'VALUE', 'a path', 'a string of 1 characters', 'deviceBound.path'],
  ['deviceBound', { path: '/x/' }, 'VALUE', 'a path', 'a string of 3 characters', 'deviceBound.path'],
  ['deviceBound', { path: '/x?y' }, 'VALUE', 'a path', 'a string of 4 characters', 'deviceBound.path'],
  ['deviceBound', { path: '/a/../x' }, 'VALUE', 'a path', 'a string of 7 characters', 'deviceBound.path'],
  ['deviceBound', { path: '/a/.%2e' }, 'VALUE', 'a path', 'a string of 7 characters', 'deviceBound.path'],
  ['deviceBound', { path: '/a/%2E/x' }, 'VALUE', 'a path', 'a string of 8 characters', 'deviceBound.path'],
  ['cookie', [], 'TYPE', 'an object of attributes or a function of ctx', 'an empty array'],
  ['cookie', ['name'], 'TYPE', 'an object of attributes or a function of ctx', 'an array of 1'],
  ['cookie', new Map([['name', 'a']]), 'TYPE', 'an object of attributes or a function of ctx', 'an object'],
  ['cookie', new Date(0), 'TYPE', 'an object of attributes or a function of ctx', 'an object'],
  ['cookie', null, 'TYPE', 'an object of attributes or a function of ctx', 'null'],
  ['cookie', 5, 'TYPE', 'an object of attributes or a function of ctx', 'a number'],
  ['cookie', true, 'TYPE', 'an object of attributes or a function of ctx', 'true'],
  ['cookie', Promise.resolve({}), 'TYPE', 'an object of attributes or a function of ctx', 'a promise'],
  ['maxAge', 'session', 'VALUE', '0 or a duration', 'a string of 7 characters'],
  ['store', Object.assign(new MemoryStore(), { scan: true }), 'TYPE', 'a function, or left out', 'true', 'store.scan'],
  ['encryptionKeys', { keys: SECRET }, 'TYPE', 'a non-empty list', 'a string of 23 characters', 'encryptionKeys.keys'],
  ['encryptionKeys', { keys: [] }, 'VALUE', 'a non-empty list', 'an empty array', 'encryptionKeys.keys'],
  ['encryptionKeys', { keys: [SECRET], encrypt: 1 }, 'TYPE', 'true or false', 'a number', 'encryptionKeys.encrypt'],
  [
    'encryptionKeys',
    { keys: [SECRET], acceptPlain: 1 },
    'TYPE',
    'true or false',
    'a number',
    'encryptionKeys.acceptPlain',
  ],
  [
    'encryptionKeys',
    { keys: [SECRET], onUnknownKey: 1 },
    'VALUE',
    "'fail' or 'end'",
    '1',
    'encryptionKeys.onUnknownKey',
  ],
  ['skip', true, 'TYPE', 'a function', 'true'],
  ['skipHeader', 'x-skip', 'TYPE', 'an object { name, value } of strings', 'a string of 6 characters'],
  ['skipHeader', null, 'TYPE', 'an object { name, value } of strings', 'null'],
  ...['', 'a b', 'a:b', 'ä', ' x', 'x\n'].map((name): Wrong => [
    'skipHeader',
    { name, value: '*' },
    'VALUE',
    'the name of a header',
    name === '' ? 'an empty string' : `a string of ${name.length} characters`,
    'skipHeader.name',
  ]),
  ['skipHeader', { name: 'x-skip', value: 1 }, 'TYPE', 'a string', 'a number', 'skipHeader.value'],
  ['skipHeader', [{ name: 'x', value: '*' }, {}], 'TYPE', 'the name of a header', 'undefined', 'skipHeader[1].name'],
  ['skipHeader', [{ name: 'x' }], 'TYPE', 'a string', 'undefined', 'skipHeader[0].value'],
  ['onConflict', 'ignore', 'VALUE', "'merge' or 'throw'", 'a string of 6 characters'],
  ['maxBytes', 1, 'VALUE', 'a whole number of bytes, at least 2', '1'],
  ['maxBytes', 1.5, 'VALUE', 'a whole number of bytes, at least 2', '1.5'],
  ['codec', null, 'TYPE', 'an object with the functions stringify and parse', 'null'],
  ['codec', 'json', 'TYPE', 'an object with the functions stringify and parse', 'a string of 4 characters'],
  ['codec', { parse: JSON.parse }, 'TYPE', 'an object with the functions stringify and parse', 'an object'],
  ['schema', null, 'TYPE', 'a Standard Schema (zod, valibot, arktype ...)', 'null'],
  ['schema', {}, 'TYPE', 'a Standard Schema (zod, valibot, arktype ...)', 'an object'],
  ['schema', () => true, 'TYPE', 'a Standard Schema (zod, valibot, arktype ...)', 'a function'],
  ['owner', 'userId', 'TYPE', 'a function', 'a string of 6 characters'],
  ['generateId', 'id', 'TYPE', 'a function', 'a string of 2 characters'],
  ['logger', true, 'TYPE', 'an object with some of debug, info, warn and error', 'true'],
  ['logger', null, 'TYPE', 'an object with some of debug, info, warn and error', 'null'],
  ['logger', { warn: 'yes' }, 'TYPE', 'a function', 'a string of 3 characters', 'logger.warn'],
  ['now', 5, 'TYPE', 'a function', 'a number'],
]

for (const [name, value, code, rule, got, at = name] of wrong) {
  test(`${name} ${inspect(value).slice(0, 60)} is refused, naming options.${at}`, (t) => {
    const error = t.throws(() => session({ [name]: value }), { instanceOf: TypeError, code: `ERR_INVALID_ARG_${code}` })

    t.true(error.message.startsWith(`options.${at} must be ${rule}`), error.message)
    // After what was got there may be a remedy.
    t.true(`${error.message}: `.includes(`, got ${got}: `), error.message)
    t.false(error.message.includes('hunter2'))
  })
}

for (const value of [null, 5, 'keys', [], true, Promise.resolve({}), new Map(), new Date(0)]) {
  test(`options ${inspect(value)} are refused`, (t) => {
    t.throws(() => session(value as SessionOptions<object>), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^options must be a plain object such as \{ store \}, got /,
    })
  })
}

for (const name of ['rolling', 'lazy', 'koaSession', 'stateKey', 'onConflict', 'maxBytes', 'cookie', 'sweepInterval']) {
  test(`${name} null is refused as every other null is`, (t) => {
    t.throws(() => session({ [name]: null }), {
      instanceOf: TypeError,
      message: new RegExp(`^options\\.${name} must be .+, got null$`),
    })
  })
}

test('maxBytes of another type than number is ERR_INVALID_ARG_TYPE, as in MemoryStore', (t) => {
  t.throws(() => session({ maxBytes: '65536' as unknown as number }), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('an option that is none is refused, and those that are are listed', (t) => {
  t.throws(() => session({ maxage: 5 } as SessionOptions<object>), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /^options\.maxage is no option: the options are keys, store, cookie, maxAge, /,
  })
})

for (const [name, hint] of Object.entries({
  resave: 'and needs none here: a session is stored when it changed',
  saveUninitialized: 'here it is lazy, the other way round',
  secret: 'here it is keys: \\[secret\\]',
  genid: 'here it is generateId',
  httpOnly: 'here it is cookie: { httpOnly }',
  ContextStore: 'here it is store',
  unset: 'and needs none here: destroy',
}))
  test(`options.${name} of another package is explained`, (t) => {
    t.throws(() => session({ [name]: true }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: new RegExp(`^options\\.${name} is no option, ${hint}`),
    })
  })

test('unknown names within an option are refused', (t) => {
  for (const options of [
    { encryptionKeys: { keys: [SECRET], accept: true } },
    { crossSite: { trusts: [] } },
    { deviceBound: { for: '10m' } },
    { skipHeader: { name: 'x', value: '*', values: [] } },
  ])
    t.throws(() => session(options as SessionOptions<object>), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: / is no option: /,
    })
})

test('rolling needs maxAge', (t) => {
  t.throws(() => session({ rolling: true }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /^options\.rolling needs options\.maxAge/,
  })
  t.throws(() => session({ rolling: true, maxAge: 0 }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.notThrows(() => session({ rolling: true, maxAge: '1d' }))
})

test('a Keygrip whose signatures are no base64url is refused', (t) => {
  const latin = { sign: () => 'é'.repeat(32), index: () => -1 }
  for (const keys of [latin, { ...latin, sign: () => 'short' }]) {
    t.throws(() => session({ keys }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /^options\.keys is a Keygrip whose signatures are not 20 to 128 characters/,
    })
  }
})

test('options that are undefined have their defaults', (t) => {
  const names = [
    'keys',
    'store',
    'cookie',
    'maxAge',
    'rolling',
    'idleTimeout',
    'absoluteTimeout',
    'stateKey',
    'skip',
    'skipHeader',
    'lazy',
    'onConflict',
    'storeTimeout',
    'maxBytes',
    'encryptionKeys',
    'codec',
    'schema',
    'owner',
    'passive',
    'maxPerOwner',
    'device',
    'crossSite',
    'clearSiteData',
    'deviceBound',
    'generateId',
    'koaSession',
    'sweepInterval',
    'logger',
    'now',
  ]
  const settings = settingsOf(Object.fromEntries(names.map((name) => [name, undefined])))

  t.like(settings, {
    keys: undefined,
    maxBytes: 65_536,
    stateKey: 'session',
    lazy: true,
    throwsOnConflict: false,
    storeTimeout: 2000,
    sweepInterval: 600_000,
    koaSession: false,
    encryption: undefined,
    passive: undefined,
    maxPerOwner: undefined,
    device: undefined,
    clearSiteData: undefined,
    deviceBound: undefined,
    isDefaultStore: true,
    schema: undefined,
    owner: undefined,
    logger: undefined,
    skips: undefined,
  })
  t.like(settings.lifetime, { maxAge: 0, rolling: false, idleTimeout: 7_200_000, absoluteTimeout: DAY })
  t.true(settings.store instanceof MemoryStore)
  t.like(settings.cookie, { name: 'sid' })
})

test('every option takes what it is made for', (t) => {
  const schema = { '~standard': { validate: (value: unknown) => ({ value: value as object }) } }
  t.notThrows(() =>
    session({
      keys: new Keygrip([SECRET]),
      store: new MemoryStore(),
      cookie: () => ({}),
      maxAge: '30d',
      rolling: true,
      idleTimeout: '1.5h',
      absoluteTimeout: false,
      stateKey: 'user',
      skip: () => false,
      skipHeader: [{ name: 'X-Skip', value: '*' }],
      lazy: false,
      onConflict: 'throw',
      storeTimeout: '500ms',
      maxBytes: 2,
      encryptionKeys: [SECRET, Buffer.from(SECRET)],
      codec: JSON,
      schema,
      owner: () => undefined,
      passive: () => true,
      maxPerOwner: 1,
      device: true,
      crossSite: { trust: ['https://pay.example', 'HTTP://localhost:8080', 'chrome-extension://abcdef'] },
      clearSiteData: ['cache', 'storage'],
      deviceBound: { within: '5m', path: '/auth/device' },
      generateId: () => 'i'.repeat(22),
      koaSession: true,
      sweepInterval: false,
      logger: {},
      now: Date.now,
    }),
  )
  t.notThrows(() =>
    session({
      codec: Object.assign(() => undefined, { stringify: JSON.stringify, parse: JSON.parse }),
      schema: Object.assign(() => undefined, schema),
      logger: console,
    }),
  )
})

test('settings are frozen, and what was given is not written to', (t) => {
  const given = Object.freeze({
    keys: Object.freeze([SECRET]),
    cookie: Object.freeze({}),
    encryptionKeys: Object.freeze([SECRET]),
  })

  t.true(Object.isFrozen(settingsOf(given)))
  t.true(Object.isFrozen(settingsOf(given).cookie))
})

const durations: readonly [string | number, number][] = [
  [1, 1],
  [1.6, 2],
  ['500ms', 500],
  ['30s', 30_000],
  ['30m', 1_800_000],
  ['2h', 7_200_000],
  ['7d', 7 * DAY],
  ['2w', 14 * DAY],
  ['1.5h', 5_400_000],
  [' 5 m ', 300_000],
]
for (const [text, milliseconds] of durations)
  test(`${JSON.stringify(text)} is ${milliseconds} milliseconds`, (t) => t.is(duration(text, 'it'), milliseconds))

for (const text of ['', '5', '5 minutes', '-5m', '5M', 'm', '1e3s', '0m', '0.0001ms', '٥m', `${'9'.repeat(300)}w`]) {
  test(`${JSON.stringify(text).slice(0, 20)} is no duration`, (t) =>
    t.throws(() => duration(text, 'it'), { code: 'ERR_INVALID_ARG_VALUE' }))
}

test('a lifetime is 0 or from one second to 400 days', (t) => {
  t.is(lifetime(0, 'it'), 0)
  t.is(lifetime(1000, 'it'), 1000)
  t.is(lifetime('400d', 'it'), 400 * DAY)
  for (const value of [1, 999, 400 * DAY + 1, '0s'])
    t.throws(() => lifetime(value, 'it'), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('a skipHeader is compared without case in its name and exactly in its value', (t) => {
  const skips = settingsOf({
    skipHeader: [
      { name: 'X-Skip', value: 'yes' },
      { name: 'x-any', value: '*' },
      { name: 'set-cookie', value: 'b' },
    ],
    skip: ({ path }: Context) => path === '/skip',
  }).skips
  const skipped = (headers: object, path = '/'): boolean | undefined =>
    skips?.({ req: { headers }, path } as unknown as Context)

  t.true(skipped({ 'x-skip': 'yes' }))
  t.true(skipped({ 'x-any': '' }))
  t.true(skipped({ 'set-cookie': ['a', 'b'] }), 'the one header that Node gives as a list')
  t.true(skipped({}, '/skip'))
  for (const headers of [{}, { 'x-skip': 'YES' }, { 'x-skip': '' }, { 'set-cookie': ['a'] }]) t.false(skipped(headers))
  t.false(settingsOf({ skipHeader: { name: 'x', value: '*' } }).skips?.({ req: { headers: {} } } as unknown as Context))
  t.true(settingsOf({ skipHeader: { name: 'x', value: '' } }).skips?.({ req: { headers: { x: '' } } } as never))
})

test('a skipHeader whose name every object has matches the header of that name alone', (t) => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    const { skips } = settingsOf({ skipHeader: { name, value: '*' } })
    t.false(skips?.({ req: { headers: {} } } as unknown as Context))
  }
  const { skips } = settingsOf({ skipHeader: { name: 'Constructor', value: '*' } })
  t.true(skips?.({ req: { headers: { constructor: 'yes' } } } as unknown as Context))
})

test('an owner has 1 to 255 characters', (t) => {
  t.is(checkedOwner('a', 'it'), 'a')
  t.is(checkedOwner('a'.repeat(255), 'it').length, 255)
  for (const owner of ['', 'a'.repeat(256)])
    t.throws(() => checkedOwner(owner, 'the owner'), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /^the owner must be a string of 1 to 255 characters, got /,
    })
  for (const owner of [undefined, null, 5])
    t.throws(() => checkedOwner(owner, 'the owner'), { code: 'ERR_INVALID_ARG_TYPE' })
})
