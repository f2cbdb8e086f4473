// The lists of deliberate faults: one that has lost its place in the source proves nothing.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'

for (const script of ['mutants', 'planted']) {
  test(`each fault of scripts/${script}-list.js has its place in the source, and its tests`, async (t) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [`scripts/${script}.js`, '--check'], {
      cwd: ROOT,
    }).catch(
      // What it printed says which are stale.
      (error: unknown) => error as { stdout: string; stderr: string },
    )

    t.regex(stdout + stderr, /^[1-9]\d* faults, 0 stale places\n$/)
  })
}
