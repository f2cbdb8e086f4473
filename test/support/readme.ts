// README.md as its tests read it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './consumer.ts'

export const readme: string = readFileSync(join(ROOT, 'README.md'), 'utf8')

export interface Block {
  readonly language: string
  readonly text: string
  /** The file name in the first line. */
  readonly name: string | undefined
}

export const blocks: readonly Block[] = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(
  ([, language = '', text = '']) => ({
    language,
    text,
    name: /^\/\/ (\S+)$/m.exec(text.split('\n', 1)[0] ?? '')?.[1],
  }),
)
export const snippets: readonly Block[] = blocks.filter(({ language }) => language === 'ts')

export function textOf(name: string): string {
  const block = blocks.find((one) => one.name === name)
  if (block === undefined) throw new Error(`README.md has no block of code that begins with // ${name}`)
  return block.text
}
