// What requests leave behind. `npm run soak` sends very many, with faults of every kind; here are as many as a test may take.
import { join } from 'node:path'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'
import { start } from '../support/service.ts'

async function soak(...args: readonly string[]): Promise<{ code: unknown; output: string }> {
  const running = start(process.execPath, ['--expose-gc', join(ROOT, 'scripts/soak.js'), ...args])
  const code = await new Promise((resolve) => running.process.once('close', resolve))
  return { code, output: running.output() }
}

test('100,000 visitors without a cookie leave no memory, no record, no timer and no warning behind', async (t) => {
  t.timeout(120_000)
  const { code, output } = await soak('--requests', '0', '--visitors', '100000')

  t.log(output.split('\n')[0])
  t.is(code, 0, output)
  t.regex(output, /^100000 visitors without a cookie: heap /m)
  t.regex(output, /after close\(\): 0 timers and handles, 0 unhandled rejections, 0 warnings/)
})

test('a leak of one object a request is found', async (t) => {
  t.timeout(120_000)
  const { code, output } = await soak('--requests', '0', '--visitors', '20000', '--plant', 'leak')

  t.is(code, 1, output)
  t.regex(output, /^FAILED: 20000 visitors without a cookie: the heap grew by more than 5 %$/m)
})
