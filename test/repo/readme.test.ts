// README.md and docs/ hold: their tables and catalogues are complete, their commands exist, their links lead somewhere.
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import ts from 'typescript'
import { session, SessionError, type SessionErrorCode } from 'koa-fastsession'
import { SessionManager } from '../../src/session/manager.ts'
import { ROOT } from '../support/consumer.ts'
import { blocks, pages, readme, reference, section, snippets, textOfPage } from '../support/readme.ts'

const names = new Set(snippets.map(({ name }) => name))

test('every block of code is a file of its own name, or an excerpt that parses, and no language is shown that no test looks at', (t) => {
  const excerpts = blocks.filter(({ language, name }) => language === 'js' && name === undefined)

  t.deepEqual(
    snippets.filter(({ name }) => name === undefined),
    [],
  )
  t.is(names.size, snippets.length)
  t.deepEqual(
    excerpts.filter(({ text }) => (ts.transpileModule(text, { reportDiagnostics: true }).diagnostics ?? []).length > 0),
    [],
  )
  t.deepEqual(
    blocks.filter(({ language }) => !['console', 'js', 'json', 'mermaid', 'sh', 'ts'].includes(language)),
    [],
  )
})

const PAGES = [...pages, ...reference, 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'test/bench/README.md']

test('the README is short enough to be read', (t) => {
  t.true(Buffer.byteLength(readme) < 12_300, `${Buffer.byteLength(readme)} bytes`)
  t.true(readme.split('\n').length < 251)
})

test('the two commands that run the first example and the tests stand on the README as they are, below installing', (t) => {
  const install = section('README.md', '## Install')

  t.true(install.includes('```sh\nnpm install koa-fastsession koa\n```'))
  for (const command of ['npm ci && npm start', 'npm ci && npm test']) t.true(install.includes(`\n${command}\n`))
})

test('the commands that the pages show are scripts of package.json', (t) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const text = PAGES.map(textOfPage).join('\n')
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
  const named = [...section('docs/ecosystem.md', '## Tested with').matchAll(/^\|.*$/gm)].flatMap(([row]) =>
    [...row.matchAll(/`([@\w/.-]+)` (\d+\.\d+\.\d+)/g)].map(([, name = '', version = '']) => `${name} ${version}`),
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
  const headings = [...textOfPage('docs/errors.md').matchAll(/^### `(ERR_\w+)` \((\d+)\)$/gm)].map(
    ([, code = '', status]) => ({ code, status: Number(status) }),
  )
  const source = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8')
  const codes = [...source.matchAll(/^ {2}(ERR_SESSION_\w+): \d+,$/gm)].map(([, code]) => code)

  t.deepEqual(headings.map(({ code }) => code).sort(), codes.sort())
  t.deepEqual(
    // An unknown code has no status.
    headings.filter(({ code, status }) => new SessionError(code as SessionErrorCode, '').status !== status),
    [],
  )
})

/** The names of all options: the error for an unknown one says them. */
function optionNames(): string[] {
  try {
    session(JSON.parse('{ "unknown": true }') as object)
  } catch (error) {
    return ((error as Error).message.split('the options are ')[1]?.split(', ') ?? []).sort()
  }
  return []
}

const headingsIn = (page: string, heading: string): string[] =>
  [...section(page, heading).matchAll(/^### (\w+)$/gm)].map(([, name = '']) => name).sort()

test('the reference and the table of the README have every option, and so does the table of what may change', (t) => {
  const options = optionNames()
  const inReadme = [...section('README.md', '## Options').matchAll(/\[`(\w+)`\]/g)].map(([, name = '']) => name)
  const table = section('docs/production.md', '## Change an option on a running system')
  const inTable = [...table.matchAll(/^\| ([^|]+)\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)[.`]/g)].map(([, name = '']) => name),
  )

  t.true(options.length > 20)
  t.deepEqual(headingsIn('docs/reference/options.md', '## Options of `session()`'), options)
  t.deepEqual(inReadme.sort(), options)
  t.deepEqual(
    // The clock of tests is none that a running system changes.
    options.filter((name) => name !== 'now' && !inTable.includes(name)),
    [],
  )
})

test('every member of the session and every method of the middleware is explained, and in the reference', (t) => {
  const page = textOfPage('docs/session.md')
  const isPublic = (name: string): boolean => !['constructor', 'toJSON'].includes(name)
  const members = Object.getOwnPropertyNames(SessionManager.prototype).filter(isPublic).sort()
  const sessions = session({ keys: ['a secret of this test alone'] })
  const methods = Object.keys(sessions).sort()
  const isExplained = (name: string): boolean => new RegExp(`\`(?:await )?(?:session\\.)?${name}\\b`).test(page)

  t.true(members.length > 20)
  t.deepEqual(
    [...members, ...methods].filter((name) => !isExplained(name)),
    [],
  )
  t.deepEqual(
    headingsIn('docs/reference/session.md', '## Members').filter((name) => name !== 'toJSON'),
    members,
  )
  t.deepEqual(headingsIn('docs/reference/middleware.md', '## Methods'), methods)
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

/** The texts of a union type in src/events.ts. */
function unionOf(name: string): string[] {
  const [, union = ''] =
    new RegExp(`^export type ${name} =(.*?)^$`, 'ms').exec(readFileSync(join(ROOT, 'src/events.ts'), 'utf8')) ?? []
  return [...union.matchAll(/'([a-z-]+)'/g)].map(([, text = '']) => text).sort()
}

test('the tables of channels, reasons, levels and notices have all of them', (t) => {
  const page = 'docs/observability.md'
  const events = section(page, '## Events')
  const [channels = '', rejects = '', destroys = ''] = events.split(/^\| `reason` of/m)
  const firstCells = (text: string): string[] =>
    [...text.matchAll(/^\| (`[^|]*)\|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`'?([\w-]+)'?`/g)].map(([, name = '']) => name),
    )
  const [list = ''] = inSource(/^const LEVELS = \{([^}]*'store-error'[^}]*)\} as const$/gm)
  const all = [...list.matchAll(/^ +'?([a-z-]+)'?: /gm)].map(([, name = '']) => name).sort()
  const levels = [...section(page, '## Logs').matchAll(/^\| `\w+` \| (.*) \|$/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name),
  )
  const notices = [...inSource(/\.notice\(\s*'(\w+)'/g), ...inSource(/'KOA_FASTSESSION_(\w+)'/g)]

  t.true(all.length > 10)
  t.deepEqual(firstCells(channels).sort(), all)
  t.deepEqual(firstCells(rejects).sort(), unionOf('RejectReason'))
  t.deepEqual(firstCells(destroys).sort(), unionOf('DestroyReason'))
  t.deepEqual(levels.sort(), all)
  t.deepEqual(
    firstCells(section(page, '## Safety notices')).sort(),
    [...new Set(notices)].map((name) => `KOA_FASTSESSION_${name}`).sort(),
  )
})

test('the spans are described, all of them', (t) => {
  const text = section('docs/observability.md', '## Spans')
  const [union = ''] = inSource(/^export type SpanName = (.*)$/gm)
  const spans = [...union.matchAll(/'(\w+)'/g)].map(([, name = '']) => name)

  t.true(spans.length > 2)
  for (const name of spans) t.true(text.includes(`\`koa-fastsession:${name}\``), name)
})

test('the page on custom stores has every verb of the contract', (t) => {
  const source = readFileSync(join(ROOT, 'src/store.ts'), 'utf8')
  const [, contract = ''] = /^export interface SessionStore \{$(.*?)^\}$/ms.exec(source) ?? []
  const verbs = [...contract.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map(([, name = '']) => name)
  const page = textOfPage('docs/custom-store.md')

  t.true(verbs.length > 10)
  t.deepEqual(
    verbs.filter((verb) => !new RegExp(`^\\| \`${verb}\\b`, 'm').test(page)),
    [],
  )
})

test('every entry point of the package is imported by a snippet, or explained', (t) => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object }
  const text = pages.map(textOfPage).join('\n')

  t.deepEqual(
    Object.keys(exports)
      .filter((entry) => entry !== './package.json')
      .filter(
        (entry) =>
          !text.includes(`koa-fastsession${entry.slice(1)}'`) && !text.includes(`koa-fastsession${entry.slice(1)}\``),
      ),
    [],
  )
})

test('the reference is what the docstrings say: npm run docs:reference', async (t) => {
  await t.notThrowsAsync(
    promisify(execFile)(process.execPath, [join(ROOT, 'scripts/reference.js'), '--check'], { cwd: ROOT }),
  )
})

test('the reference keeps what may be undefined, where a question mark does not say it already', (t) => {
  const info = section('docs/reference/middleware.md', '## What `list`, `get` and `scan` show')

  t.true(info.includes('`owner: string | undefined`'))
  t.true(textOfPage('docs/reference/options.md').includes('`stateKey?: string`'))
})

test('the map of the house names each room, and no room that is not there', (t) => {
  const map = section('docs/architecture.md', '## The map')
  const named = [...map.matchAll(/^\| ([^|]+)\|/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`([\w./-]+(?:\.ts|\/))`/g)])
    .map(([, name = '']) => name)
    .sort()
  const entries = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
  const rooms = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))

  t.deepEqual(named, rooms.filter((name) => name !== 'tsconfig.json').sort())
})

test('the documentation is in the package', (t) => {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: string[] }

  t.true(files.includes('docs'))
  t.true(files.includes('SECURITY.md'))
})

/** The anchors of a page, as GitHub makes them of headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  const text = textOfPage(page).replace(/^```.*?^```$/gms, '')
  for (const [, heading = ''] of text.matchAll(/^#+ (.*)$/gm)) {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-')
    let name = anchor
    for (let at = 1; anchors.has(name); at++) name = `${anchor}-${at}`
    anchors.add(name)
  }
  return anchors
}

for (const page of PAGES) {
  test(`every link of ${page} to a file or a heading leads there`, (t) => {
    const text = textOfPage(page).replace(/^```.*?^```$/gms, '')
    const links = [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target = '']) => target)

    t.deepEqual(
      links.filter((link) => {
        const [path = '', anchor] = link.split('#')
        const file = path === '' ? page : normalize(join(dirname(page), path))
        if (!existsSync(join(ROOT, file))) return true
        return anchor !== undefined && !anchorsOf(file).has(anchor)
      }),
      [],
    )
  })
}
