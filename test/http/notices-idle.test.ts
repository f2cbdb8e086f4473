// The advice of the notice on an idle timeout that never comes can be followed, whichever option ends the session before it.
import test from 'ava'
import { session } from '../../src/index.ts'
import { settle, warnings } from '../support/warnings.ts'

test.serial('where maxAge ends a session before its idle timeout, the notice names maxAge', async (t) => {
  const seen = warnings(t)
  // As it is told without absoluteTimeout: raising it, or setting it to false, changes nothing.
  session({ maxAge: '1d', idleTimeout: '2d', absoluteTimeout: '30d' })
  session({ maxAge: '1d', idleTimeout: '2d', absoluteTimeout: false })
  await settle()

  t.is(seen.length, 2)
  for (const { code, message } of seen) {
    t.is(code, 'KOA_FASTSESSION_IDLE_ABOVE_ABSOLUTE')
    t.regex(message, /options\.maxAge/)
  }
  session({ maxAge: '3d', idleTimeout: '2d' })
  await settle()
  t.is(seen.length, 2)
})
