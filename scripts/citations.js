// npm run docs:citations: puts the files of the tests that pages cite right after tests were moved; says which are nowhere.
// --check writes nothing, and fails where a file is wrong or a title is nowhere.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const isCheck = process.argv.includes('--check')
const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** What the titles of a test file may be, as test/security/security.test.ts reads them. */
function titlesIn(source) {
  const calls = source.matchAll(/\b[\w.]+\(\s*(?:'((?:[^'\\\n]|\\.)+)'|"((?:[^"\\\n]|\\.)+)"|`((?:[^`\\]|\\.)+)`),/g)
  const fixed = (template) => template.replace(/\$\{[^}]*\}|\W/g, '').length
  const literal = (text) => text.replace(/\\(.)/g, '$1').replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return [...calls]
    .filter(([, , , template]) => template === undefined || fixed(template) > 12)
    .map(([, single, double, template]) => {
      if (template === undefined) return new RegExp(`^${literal(single ?? double ?? '')}$`)
      const parts = template.split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/)
      return new RegExp(`^${parts.map(literal).join('.+')}$`)
    })
}

const files = readdirSync(`${ROOT}test`, { recursive: true, encoding: 'utf8' })
  .map((path) => `test/${path.replaceAll('\\', '/')}`)
  .filter((path) => path.endsWith('.test.ts'))
const titles = new Map(files.map((file) => [file, titlesIn(readFileSync(ROOT + file, 'utf8'))]))
const has = (file, title) => titles.get(file)?.some((pattern) => pattern.test(title)) === true

for (const page of ['SECURITY.md', 'docs/guarantees.md', 'docs/production.md']) {
  let text
  try {
    text = readFileSync(ROOT + page, 'utf8')
  } catch {
    continue
  }
  const fixed = text.replaceAll(/\[(test\/[^\]]+)\]\(((?:\.\.\/)*)\S+\) “([^”]+)”/g, (cited, file, up, title) => {
    if (has(file, title)) return cited
    process.exitCode = isCheck ? 1 : process.exitCode
    const [found, other] = files.filter((one) => has(one, title))
    if (found !== undefined && other === undefined) {
      if (isCheck) console.log(`${page}: ${file} “${title}” is in ${found}`)
      return `[${found}](${up}${found}) “${title}”`
    }
    console.log(`${page}: ${file} “${title}” ${found === undefined ? 'is nowhere' : `is in ${found} and ${other}`}`)
    return cited
  })
  if (fixed !== text && !isCheck) writeFileSync(ROOT + page, fixed)
}
