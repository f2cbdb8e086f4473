import { inspect } from 'node:util'
import test from 'ava'
import {
  describe,
  invalidMix,
  invalidType,
  invalidValue,
  SessionError,
  type SessionErrorCode,
} from '../../src/errors.ts'

const CATALOGUE: Record<SessionErrorCode, number> = {
  ERR_SESSION_NO_CONTEXT: 500,
  ERR_SESSION_ALREADY_MOUNTED: 500,
  ERR_SESSION_CONFLICT: 409,
  ERR_SESSION_GONE: 409,
  ERR_SESSION_DESTROYED: 500,
  ERR_SESSION_CLOSED: 500,
  ERR_SESSION_HEADERS_SENT: 500,
  ERR_SESSION_VALUE: 500,
  ERR_SESSION_TOO_LARGE: 500,
  ERR_SESSION_SCHEMA: 500,
  ERR_SESSION_CROSS_SITE: 403,
  ERR_SESSION_UNBOUND: 401,
  ERR_SESSION_IN_UPDATE: 500,
  ERR_SESSION_UNSUPPORTED: 501,
  ERR_SESSION_STORE: 503,
}

for (const [code, status] of Object.entries(CATALOGUE) as [SessionErrorCode, number][]) {
  test(`${code} answers ${status} and is never exposed`, (t) => {
    t.like(new SessionError(code, 'what happened'), {
      code,
      status,
      expose: false,
      name: 'SessionError',
      message: 'what happened',
    })
  })
}

test('an error is an Error with its cause and a stack that names it', (t) => {
  const cause = new Error('connection refused')
  const error = new SessionError('ERR_SESSION_STORE', 'the store failed', { cause })

  t.true(error instanceof Error)
  t.is(error.cause, cause)
  t.is(String(error), 'SessionError: the store failed')
  t.true(inspect(error).startsWith('SessionError: the store failed'))
  t.false('cause' in new SessionError('ERR_SESSION_STORE', 'no cause'))
})

const described: readonly [unknown, string][] = [
  [undefined, 'undefined'],
  [null, 'null'],
  [true, 'true'],
  [-1.5, '-1.5'],
  [NaN, 'NaN'],
  ['', 'an empty string'],
  ['hunter2', 'a string of 7 characters'],
  [[], 'an empty array'],
  [['hunter2'], 'an array of 1'],
  [{ password: 'hunter2' }, 'an object'],
  [() => 'hunter2', 'a function'],
  [Symbol('hunter2'), 'a symbol'],
  [5n, 'a bigint'],
]

for (const [value, words] of described) {
  test(`a refused value is described as "${words}", not printed`, (t) => t.is(describe(value), words))
}

test('a refused option has its rule, what was got, and the code that Node would give', (t) => {
  t.like(invalidType('options.x', 'a function', 5), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'options.x must be a function, got a number',
  })
  t.like(invalidValue('options.x', 'a name', ''), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: 'options.x must be a name, got an empty string',
  })
  t.like(invalidMix('options.x needs options.y'), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: 'options.x needs options.y',
  })
  for (const error of [invalidType('x', 'y', 1), invalidValue('x', 'y', 1), invalidMix('x')])
    t.true(error instanceof TypeError)
})

test('a thrown proxy that refuses to say what it has is no error of ours', (t) => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()

  t.false((proxy as unknown) instanceof SessionError)
})
