// Access to README.md and docs/ for their tests.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './consumer.ts'

export function textOfPage(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .map((path) => `docs/${path.replaceAll('\\', '/')}`)
  .filter((path) => path.endsWith('.md'))
  .sort()

/** The pages that are generated from docstrings. Their examples are excerpts. */
export const reference: readonly string[] = docs.filter((path) => path.startsWith('docs/reference/'))

/** The pages that are written by hand, README.md first. */
export const pages: readonly string[] = ['README.md', ...docs.filter((path) => !reference.includes(path))]

export const readme: string = textOfPage('README.md')

export interface Block {
  readonly page: string
  readonly language: string
  readonly text: string
  /** The file name in the first line. */
  readonly name: string | undefined
}

export const blocks: readonly Block[] = pages.flatMap((page) =>
  [...textOfPage(page).matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    page,
    language,
    text,
    name: /^\/\/ (\S+)$/m.exec(text.split('\n', 1)[0] ?? '')?.[1],
  })),
)
export const snippets: readonly Block[] = blocks.filter(({ language }) => language === 'ts')

export function textOf(name: string): string {
  const block = blocks.find((one) => one.name === name)
  if (block === undefined) throw new Error(`no page has a block of code that begins with // ${name}`)
  return block.text
}

/** What a page says below a heading, up to the next one of its level or above. */
export function section(page: string, heading: string): string {
  const level = /^#+/.exec(heading)?.[0].length ?? 0
  const [, below = ''] = `\n${textOfPage(page)}`.split(`\n${heading}\n`)
  return below.split(new RegExp(`^#{1,${level}} `, 'm'))[0] ?? ''
}
