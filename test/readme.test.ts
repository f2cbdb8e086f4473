// The README holds: its tables and its catalogue are complete, its commands exist, its links lead somewhere.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { session, SessionError, type SessionErrorCode } from 'koa-fastsession'
import { ROOT } from './support/consumer.ts'
import { blocks, readme, snippets } from './support/readme.ts'

const names = new Set(snippets.map(({ name }) => name))

test('every block of code names a file of its own, and nothing is shown in a language that no test looks at', (t) => {
  t.deepEqual(
    blocks.filter(({ language, name }) => ['ts', 'js'].includes(language) && name === undefined),
    [],
  )
  t.is(names.size, snippets.length)
  t.deepEqual(
    blocks.filter(({ language }) => !['console', 'js', 'mermaid', 'sh', 'ts'].includes(language)),
    [],
  )
})

const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'test/bench/README.md']

test('the commands that the pages show are scripts of package.json', (t) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const text = PAGES.map((page) => readFileSync(join(ROOT, page), 'utf8')).join('\n')
  const commands = [...text.matchAll(/\bnpm (?:run ([\w:]+)|(start|test))\b/g)].map(
    ([, script, short]) => script ?? short ?? '',
  )

  t.true(commands.length > 3)
  t.deepEqual(
    commands.filter((name) => !(name in scripts)),
    [],
  )
})

test('the packages that are said to be tested are those that are installed', (t) => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const section = /^\| tested with .*?\n\n/ms.exec(readme)?.[0] ?? ''
  const named = [...section.matchAll(/`([@\w/.-]+)` (\d+\.\d+\.\d+)/g)].map(
    ([, name = '', version = '']) => `${name} ${version}`,
  )

  t.true(named.length > 20)
  t.deepEqual(
    named.filter(
      (one) =>
        !Object.entries(devDependencies).some(
          ([name, version]) => one === `${name} ${version.replace(/^npm:.*@/, '')}`,
        ),
    ),
    [],
  )
})

test('the catalogue has a heading for every error code, with its status', (t) => {
  const headings = [...readme.matchAll(/^### `(ERR_\w+)` \((\d+)\)$/gm)].map(([, code = '', status]) => ({
    code,
    status: Number(status),
  }))
  const source = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8')
  const codes = [...source.matchAll(/^ {2}(ERR_SESSION_\w+): \d+,$/gm)].map(([, code]) => code)

  t.deepEqual(headings.map(({ code }) => code).sort(), codes.sort())
  t.deepEqual(
    // An unknown code has no status.
    headings.filter(({ code, status }) => new SessionError(code as SessionErrorCode, '').status !== status),
    [],
  )
})

test('the table of options has every option', (t) => {
  const section = /^## Options$(.*?)^#/ms.exec(readme)?.[1] ?? ''
  const documented = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name)
  // The error for an unknown option names all that there are.
  const error = t.throws(() => session(JSON.parse('{ "unknown": true }') as object), { code: 'ERR_INVALID_ARG_VALUE' })
  const known = error.message.split('the options are ')[1]?.split(', ') ?? []

  t.deepEqual(documented.sort(), known.sort())
})

/** What the source has under a pattern, in all of its files. */
function inSource(pattern: RegExp): string[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  return files.flatMap((file) =>
    [...readFileSync(join(ROOT, 'src', file), 'utf8').matchAll(pattern)].map(([, name = '']) => name),
  )
}

test('the tables of channels and of notices have all of them', (t) => {
  const section = /^## Watching it$(.*?)^## /ms.exec(readme)?.[1] ?? ''
  const rows = (pattern: RegExp): string[] => [...section.matchAll(pattern)].map(([, name = '']) => name).sort()
  const [names = ''] = inSource(/^const NAMES = \[(.*)\] as const$/gm)

  t.deepEqual(rows(/^\| `([a-z-]+)` /gm), names.replaceAll("'", '').split(', ').sort())
  t.deepEqual(rows(/^\| `KOA_FASTSESSION_(\w+)` /gm), [...new Set(inSource(/\.notice\(\s*'(\w+)'/g))].sort())
})

for (const page of PAGES) {
  test(`every link of ${page} to a file or a heading leads there`, (t) => {
    const text = readFileSync(join(ROOT, page), 'utf8')
    const anchors = new Set(
      [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      ),
    )
    const links = [...text.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, target = '']) => target)

    t.deepEqual(
      links.filter((target) =>
        target.startsWith('#')
          ? !anchors.has(target.slice(1))
          : !existsSync(join(ROOT, dirname(page), target.split('#', 1)[0] ?? '')),
      ),
      [],
    )
  })
}
