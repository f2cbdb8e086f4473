// Where a fault is put into the source: a text that its file holds exactly once. Line breaks and indents do not count, so
// that a formatter takes no fault its place.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What Node, its loader or a request says of a source that is no program: a fault that is none. */
export const UNREADABLE = /SyntaxError|Transform failed|ReferenceError: [\w.#]+ is not defined/

/** A pattern for the text, whatever stands between its words. */
function patternOf(text) {
  const words = text.trim().split(/\s+/)
  return new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('\\s+'), 'g')
}

/** The source with `after` in the place of `before`; `undefined` where it does not hold that exactly once. */
export function edited(source, before, after) {
  const places = [...source.matchAll(patternOf(before))]
  if (places.length !== 1) return undefined
  const [{ 0: found, index }] = places
  return source.slice(0, index) + after + source.slice(index + found.length)
}

/** What is stale in a list of faults: a line for each text that is not where it was, with where it is now if anywhere. */
export function staleIn(root, faults) {
  const src = join(root, 'src')
  const sources = new Map(
    readdirSync(src, { recursive: true })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => [file.replaceAll('\\', '/'), readFileSync(join(src, file), 'utf8')]),
  )
  return faults.flatMap(({ name, edits }) => {
    const broken = new Map(sources)
    return edits.flatMap(([file, before, after]) => {
      const source = broken.get(file)
      const next = source === undefined ? undefined : edited(source, before, after)
      if (next !== undefined) {
        broken.set(file, next)
        return []
      }
      const count = source?.match(patternOf(before))?.length ?? 0
      const homes = [...sources].filter(([, text]) => text.match(patternOf(before))?.length === 1).map(([home]) => home)
      const hint = homes.length > 0 ? `; it is once in ${homes.slice(0, 3).join(', ')}` : ''
      const place = source === undefined ? 'does not exist' : `holds it ${count} times`
      return [`STALE ${name}: src/${file} ${place}${hint}: ${before}`]
    })
  })
}
