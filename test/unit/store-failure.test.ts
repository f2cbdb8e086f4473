import { inspect } from 'node:util'
import test from 'ava'
import { failureKind } from '../../src/store-failure.ts'

const named: readonly [unknown, string][] = [
  [Object.assign(new Error('connect to 10.0.0.1'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
  [Object.assign(new Error('duplicate key'), { code: '23505' }), '23505'],
  [Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode: 8 }), 'ERR_SQLITE_ERROR 8'],
  [
    new (class ReplyError extends Error {})("READONLY You can't write against a read only replica."),
    'ReplyError READONLY',
  ],
  [new (class RequestError extends Error {})('An error was signalled: - OOM command not allowed'), 'RequestError OOM'],
  [new TypeError('PRIVATE data'), 'TypeError'],
  [Object.assign(new Error('x'), { code: 'a code with PRIVATE data' }), ''],
  ['PRIVATE data', ''],
  [
    {
      get code(): string {
        throw new Error('no')
      },
    },
    '',
  ],
]
for (const [cause, kind] of named)
  test(`a failure is called ${kind === '' ? 'nothing' : kind}, without a word of its message (${inspect(cause).slice(0, 30)})`, (t) => {
    t.is(failureKind(cause) ?? '', kind)
  })
