// The path of `deviceBound` is the path that a browser asks for. Chromium resolves escapes in it before it sends its request, so that
// with some of them no session would ever be bound.
import test from 'ava'
import { session } from '../../src/index.ts'

for (const path of ['/x%2Fy', '/x%2fy', '/x%25y', '/x%3Fy', '/x%23y', '/x%41', '/%2E/x', '/caf%c3%a9', '/100%', '/x%2'])
  test(`a path that a browser would send otherwise is refused: ${path}`, (t) => {
    const error = t.throws(() => session({ deviceBound: { path } }), { code: 'ERR_INVALID_ARG_VALUE' })
    t.true(error.message.includes('options.deviceBound.path'))
  })

for (const path of ['/x%20y', '/caf%C3%A9', "/x'y", '/x=y:z@w', '/x*y(z)', '/x~y!$&+,y'])
  test(`a path that a browser sends as it is can be chosen: ${path}`, (t) => {
    t.notThrows(() => session({ deviceBound: { path } }))
  })
