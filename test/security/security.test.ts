// SECURITY.md holds: each test that it cites is there under that title, each row has a state, and the counts are right.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'

interface Proof {
  readonly file: string
  readonly link: string
  readonly title: string
}

interface Row {
  readonly what: string
  readonly state: string
  readonly reason: string
  readonly proofs: readonly Proof[]
}

const page = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')

/** The tests that a text cites. */
function proofsIn(text: string): Proof[] {
  return [...text.matchAll(/\[([^\]]+)\]\(([^)]+)\) “([^”]+)”/g)].map(([, file = '', link = '', title = '']) => ({
    file,
    link,
    title,
  }))
}

/** The rows of the tables below a heading of the second level. */
function rowsOf(heading: string): Row[] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const lines = (section.split(/^## /m)[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  return lines
    .map((line) => line.slice(2, -2).split(' | '))
    .filter((cells) => cells.at(-1) !== 'proof')
    .map((cells) => {
      const [what = '', second = '', state = '', proof = ''] = cells
      const [, name = '', reason = ''] = /^([^:]+)(?:: (.+))?$/.exec(state) ?? []
      return { what: cells.length === 4 ? `${what} ${second}` : '', state: name, reason, proofs: proofsIn(proof) }
    })
}

const requirements = rowsOf('Requirements')
const attacks = rowsOf('Attacks and faults')
const rows = [...requirements, ...attacks]

/** What the titles of a test file may be: those made in a loop match whatever is filled in, if enough of them is not. */
function titlesIn(source: string): RegExp[] {
  const calls = source.matchAll(/\b[\w.]+\(\s*(?:'((?:[^'\\\n]|\\.)+)'|"((?:[^"\\\n]|\\.)+)"|`((?:[^`\\]|\\.)+)`),/g)
  const fixed = (template: string): number => template.replace(/\$\{[^}]*\}|\W/g, '').length
  return [...calls]
    .filter(([, , , template]) => template === undefined || fixed(template) > 12)
    .map(([, single, double, template]) => {
      const literal = (text: string): string => text.replace(/\\(.)/g, '$1').replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      if (template === undefined) return new RegExp(`^${literal(single ?? double ?? '')}$`)
      return new RegExp(
        `^${template
          .split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/)
          .map(literal)
          .join('.+')}$`,
      )
    })
}

test('each cited test is in the file that is named, under its title', (t) => {
  const titles = new Map<string, RegExp[]>()
  // Those of the threat model, too.
  const cited = proofsIn(page)
  const missing = cited.filter(({ file, link, title }) => {
    if (file !== link || !existsSync(join(ROOT, file))) return true
    if (!titles.has(file)) titles.set(file, titlesIn(readFileSync(join(ROOT, file), 'utf8')))
    return titles.get(file)?.some((pattern) => pattern.test(title)) !== true
  })

  t.true(rows.flatMap(({ proofs }) => proofs).length > 100)
  t.true(cited.length > rows.flatMap(({ proofs }) => proofs).length)
  t.deepEqual(missing, [])
})

test('a title that is made of nothing but what is filled in proves nothing', (t) => {
  t.false(titlesIn('test(`${name}: ${title} it`, run)').some((pattern) => pattern.test('a store: do it')))
  t.deepEqual(
    titlesIn("test('one', f)\nclaim(`the title ${of({ a: 1 })} of a test`, options, f)").map(({ source }) => source),
    ['^one$', '^the title .+ of a test$'],
  )
})

test('each requirement and attack has a state; what is not met has a reason, what is met a proof', (t) => {
  for (const { what, state, reason, proofs } of rows) {
    t.not(what, '')
    t.true(['met', 'by contract', 'not applicable', 'open'].includes(state), `${what}: ${state}`)
    if (state !== 'met') t.true(reason.length > 10, what)
    if (state === 'met') t.true(proofs.length > 0, what)
  }
})

test('the counts are right, and no attack is left out', (t) => {
  const count = (state: string): number => rows.filter((row) => row.state === state).length
  const line = `**${rows.length} in all, ${requirements.length} requirements and ${attacks.length} attacks and faults: ${count('met')} met, ${count('by contract')} by contract, ${count('not applicable')} not applicable, ${count('open')} open.**`

  t.true(page.includes(line), line)
  t.deepEqual(
    attacks.map(({ what }) => what.split(' ')[0]),
    Array.from({ length: 38 }, (_, at) => String(at + 1)),
  )
})
