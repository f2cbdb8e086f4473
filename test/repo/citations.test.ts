// Where a page says that a test holds something, that test is there, under that title.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'
import { section, textOfPage } from '../support/readme.ts'

test('each test that SECURITY.md, the guarantees and the page on production cite is in its file', async (t) => {
  const run = promisify(execFile)(process.execPath, [join(ROOT, 'scripts/citations.js'), '--check'], { cwd: ROOT })

  t.deepEqual(await run, { stdout: '', stderr: '' })
})

test('of what the package runs on each row has a proof, and what was not tried is said', (t) => {
  const text = section('docs/production.md', '## What it runs on')
  const rows = text.split('\n').filter((line) => /^\| (?!---|what \|)/.test(line))

  t.true(rows.length > 12)
  t.deepEqual(
    rows.filter((row) => !/\]\(\.\.\/test\/[^)]+\) “|\.github\/workflows|`\.ci\/run`/.test(row)),
    [],
  )
  t.regex(text, /\*\*Not tried:\*\* MySQL 8/)
})

test('CONTRIBUTING names each part of check:long, and no other', (t) => {
  const script = readFileSync(join(ROOT, 'scripts/check-long.js'), 'utf8')
  const parts = [...script.matchAll(/^ {2}(\w+): \{$|^ {2}(\w+): \{ runs/gm)].map(([, one, other]) => one ?? other)
  const [, table = ''] = textOfPage('CONTRIBUTING.md').split('| part | what it runs |')
  const rows = (table.split('\n\n')[0] ?? '').split('\n').slice(2)

  t.true(parts.length >= 9)
  t.deepEqual(
    rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name)),
    parts,
  )
})
