// The reference: every public item is documented, and every link in it leads somewhere.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'

test('typedoc has nothing to warn of: every public item is exported and documented, every link leads there', async (t) => {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [join(ROOT, 'node_modules/typedoc/bin/typedoc'), '--emit', 'none'],
    { cwd: ROOT },
  ).catch(
    // Its warnings are in what it printed; its exit code is the claim.
    (error: unknown) => error as { stdout: string; stderr: string },
  )

  t.is(stdout + stderr, '')
})
