// docs/production.md opens a store in an async function: whoever forgets to await it reads that, and is not sent to the adapters.
import test from 'ava'
import { MemoryStore, session } from '../../src/index.ts'
import { moveSessions } from '../../src/migrate.ts'

test('a promise in the place of a store is told as one', async (t) => {
  const promised = Promise.resolve(new MemoryStore()) as never

  t.throws(() => session({ store: promised }), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /^options\.store must be a session store, got a promise/,
  })
  await t.throwsAsync(moveSessions(new MemoryStore(), promised), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /^the second argument of moveSessions\(\) must be a session store, got a promise/,
  })
})
