// A codec answers at once: with an asynchronous parse, data would be a promise, and the sessions that it wrote corrupt.
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { settingsOf } from '../../src/settings.ts'

const { stringify } = JSON

test('a codec whose parse gives a promise is refused when session() is called, and what it rejects with ends no process', async (t) => {
  const unhandled: unknown[] = []
  const listen = (reason: unknown): unknown => unhandled.push(reason)
  process.on('unhandledRejection', listen)
  t.teardown(() => process.off('unhandledRejection', listen))
  for (const parse of [
    (text: string) => Promise.resolve(JSON.parse(text) as unknown),
    () => Promise.reject(new Error('too late')),
  ])
    t.throws(() => settingsOf({ codec: { stringify, parse } }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^the result of options\.codec\.parse must be a value, got a promise: it must answer at once/,
    })
  await setImmediate()

  t.deepEqual(unhandled, [])
  t.notThrows(() =>
    settingsOf({
      codec: {
        stringify,
        parse: () => {
          throw new Error('not this text')
        },
      },
    }),
  )
})
