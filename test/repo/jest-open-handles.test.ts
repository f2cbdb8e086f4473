// docs/testing.md: the middleware keeps no process alive. Whoever looks in Jest for what does is not sent to this package.
import { join } from 'node:path'
import test from 'ava'
import { consumer, ROOT } from '../support/consumer.ts'

test('jest --detectOpenHandles finds none in an app and its tests', async (t) => {
  const project = await consumer(['keygrip', 'koa'])
  project.write({
    'package.json': '{}',
    'app.test.js': `
      const { currentSession, session } = require('koa-fastsession')
      const { sessionCookie, withSession } = require('koa-fastsession/testing')

      test('a session', async () => {
        const sessions = session({ keys: ['a secret of some length'] })
        await sessionCookie(sessions, {}, { owner: 'ada' })
        expect((await sessions.list('ada')).length).toBe(1)
        expect(await withSession({ n: 1 }, () => currentSession().data.n)).toBe(1)
        await sessions.close()
      })
    `,
  })

  const jest = join(ROOT, 'node_modules/jest/bin/jest.js')
  const args = ['--ci', '--detectOpenHandles', '--rootDir', project.folder, '--cacheDirectory', '.jest']
  const { code, stderr } = await project.node(jest, ...args)

  t.is(code, 0, stderr)
  t.regex(stderr, /Tests: +1 passed/)
  t.notRegex(stderr, /open handle/)
})
