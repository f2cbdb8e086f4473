import test from 'ava'
import { cookieSettings, formatSetCookie } from '../../src/cookie/cookie.ts'

const refused = (options: object, message: RegExp, code = 'ERR_INVALID_ARG_VALUE') => ({
  of: () => cookieSettings(options, 'options.cookie'),
  expected: { instanceOf: TypeError, code, message },
})

test('the attributes of a cookie are written in one way', (t) => {
  const line = (options: object, isSecure = false): string =>
    formatSetCookie(cookieSettings(options, 'cookie'), 'v', 60, isSecure)

  t.is(line({}), 'sid=v; Max-Age=60; Path=/; HttpOnly; SameSite=Lax')
  t.is(line({}, true), 'sid=v; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure')
  t.is(
    line({
      name: 'app',
      path: '/in',
      domain: 'example.com',
      httpOnly: false,
      secure: true,
      sameSite: 'strict',
      priority: 'high',
      partitioned: true,
    }),
    'app=v; Max-Age=60; Domain=example.com; Path=/in; SameSite=Strict; Priority=High; Partitioned; Secure',
  )
  t.is(line({ sameSite: false, secure: false }, true), 'sid=v; Max-Age=60; Path=/; HttpOnly')
  t.is(line({ sameSite: 'none' }), 'sid=v; Max-Age=60; Path=/; HttpOnly; SameSite=None; Secure')
})

test('a cookie without a lifetime has no Max-Age, and none has Expires', (t) => {
  const settings = cookieSettings({}, 'cookie')

  t.is(formatSetCookie(settings, 'v', undefined, false), 'sid=v; Path=/; HttpOnly; SameSite=Lax')
  t.is(formatSetCookie(settings, '', 0, false), 'sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax')
})

test('a cookie that browsers take with Secure alone is marked so by auto', (t) => {
  for (const options of [
    { name: '__Secure-sid' },
    { name: '__Host-sid' },
    { name: '__http-sid' },
    { name: '__Host-Http-sid' },
    { sameSite: 'none' },
    { partitioned: true },
  ]) {
    t.regex(
      formatSetCookie(cookieSettings(options, 'cookie'), 'v', undefined, false),
      /; Secure$/,
      JSON.stringify(options),
    )
  }
})

for (const options of [
  { name: '__Secure-sid' },
  { name: '__host-sid' },
  { name: '__HTTP-sid' },
  { sameSite: 'none' },
  { partitioned: true },
]) {
  test(`${JSON.stringify(options)} with secure false is refused`, (t) => {
    const { of, expected } = refused(
      { ...options, secure: false },
      /^options\.cookie\.secure must not be false with .+: browsers refuse such a cookie$/,
    )
    t.throws(of, expected)
  })
}

test('__Host- is refused with a domain or a path, and the Http- prefixes without httpOnly', (t) => {
  for (const options of [
    { name: '__Host-a', domain: 'example.com' },
    { name: '__Host-a', path: '/in' },
    { name: '__hOsT-Http-a', path: '/in' },
  ]) {
    const { of, expected } = refused(
      options,
      /^options\.cookie must have no domain and the path \/ with the name prefix __host-(http-)?: /,
    )
    t.throws(of, expected)
  }
  for (const name of ['__Http-a', '__Host-Http-a']) {
    const { of, expected } = refused(
      { name, httpOnly: false },
      /^options\.cookie\.httpOnly must be true with the name prefix __(host-)?http-: /,
    )
    t.throws(of, expected)
  }
})

const wrong: readonly [name: string, value: unknown, code: 'TYPE' | 'VALUE', rule: string, got: string][] = [
  ['name', 5, 'TYPE', 'a token', 'a number'],
  ['name', '', 'VALUE', 'a token', 'an empty string'],
  ['name', 's id', 'VALUE', 'a token', 'a string of 4 characters'],
  ['name', 's=d', 'VALUE', 'a token', 'a string of 3 characters'],
  ['name', 'süd', 'VALUE', 'a token', 'a string of 3 characters'],
  ['name', 's'.repeat(257), 'VALUE', 'a token', 'a string of 257 characters'],
  ['path', null, 'TYPE', 'a path', 'null'],
  ['path', 'in', 'VALUE', 'a path that begins with /', 'a string of 2 characters'],
  ['path', '', 'VALUE', 'a path', 'an empty string'],
  ['path', '/a;b', 'VALUE', 'a path of printable characters', 'a string of 4 characters'],
  ['path', '/a\r\nSet-Cookie: x', 'VALUE', 'a path of printable characters', 'a string of 17 characters'],
  [
    'path',
    `/${'a'.repeat(1024)}`,
    'VALUE',
    'a path that begins with / and has at most 1024 characters',
    'a string of 1025 characters',
  ],
  ['domain', 5, 'TYPE', 'a host name', 'a number'],
  ['domain', 'a b', 'VALUE', 'a host name', 'a string of 3 characters'],
  ['domain', 'example.com:80', 'VALUE', 'a host name', 'a string of 14 characters'],
  ['domain', '', 'VALUE', 'a host name', 'an empty string'],
  ['domain', `${'a.'.repeat(130)}example`, 'VALUE', 'a host name', 'a string of 267 characters'],
  ['httpOnly', 'yes', 'TYPE', 'true or false', 'a string of 3 characters'],
  ['partitioned', 1, 'TYPE', 'true or false', 'a number'],
  ['secure', 'yes', 'VALUE', "'auto' or true or false", 'a string of 3 characters'],
  ['sameSite', 'Lax', 'VALUE', "'strict' or 'lax' or 'none' or false", 'a string of 3 characters'],
  ['sameSite', true, 'VALUE', "'strict' or 'lax' or 'none' or false", 'true'],
  ['priority', 'urgent', 'VALUE', "'low' or 'medium' or 'high'", 'a string of 6 characters'],
]

for (const [name, value, code, rule, got] of wrong) {
  test(`cookie.${name} ${JSON.stringify(value).slice(0, 30)} is refused`, (t) => {
    const error = t.throws(() => cookieSettings({ [name]: value }, 'options.cookie'), {
      instanceOf: TypeError,
      code: `ERR_INVALID_ARG_${code}`,
    })

    t.true(error.message.startsWith(`options.cookie.${name} must be ${rule}`), error.message)
    t.true(error.message.endsWith(`, got ${got}`), error.message)
  })
}

test('a cookie that has an attribute that is not ours is refused', (t) => {
  const { of, expected } = refused(
    { maxAge: 5 },
    /^options\.cookie\.maxAge is no option: .+ the lifetime is options\.maxAge$/,
  )
  t.throws(of, expected)
})

test('the longest cookie that may be set is well below the 4096 bytes that browsers keep', (t) => {
  const settings = cookieSettings({ name: 'n'.repeat(256) }, 'cookie')
  const pair = formatSetCookie(settings, `${'i'.repeat(128)}.${'s'.repeat(128)}`, undefined, false).split(';')[0] ?? ''

  t.is(pair.length, 514)
})

test('an attribute that is undefined has its default', (t) => {
  const nothing = Object.fromEntries(
    ['name', 'path', 'domain', 'httpOnly', 'secure', 'sameSite', 'partitioned', 'priority'].map((name) => [
      name,
      undefined,
    ]),
  )

  t.deepEqual(cookieSettings(nothing, 'cookie'), cookieSettings({}, 'cookie'))
})
