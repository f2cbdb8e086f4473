// The lines that made a page, for the page to show: cut from this program's own source, so that they stay true.
import { readFileSync } from 'node:fs'
import { html, type Html } from './html.ts'

/**
 * The lines between `//#region name` and `//#endregion` of a file of this folder, without their common indent.
 *
 * @throws {Error} when the file has no such region: the demo does not start then.
 */
export function linesOf(file: string, name: string): string[] {
  const lines = readFileSync(new URL(file, import.meta.url), 'utf8').split('\n')
  const first = lines.findIndex((line) => line.trim() === `//#region ${name}`) + 1
  const last = lines.findIndex((line, at) => at >= first && line.trim() === '//#endregion')
  if (first === 0 || last === -1) throw new Error(`${file} has no region ${name}`)
  const cut = lines.slice(first, last)
  const indent = Math.min(...cut.filter((line) => line.trim() !== '').map((line) => line.search(/\S/)))
  return cut.map((line) => line.slice(indent))
}

/** The same, to be put into a page. */
export function codeOf(file: string, name: string): Html {
  return html`<figure class="code">
    <figcaption>The lines that do it, from <code>example/demo/${file}</code></figcaption>
    <pre tabindex="0"><code>${linesOf(file, name).map(
      (line) => html`${/^\s*\/\//.test(line) ? html`<i>${line}</i>` : line}${'\n'}`,
    )}</code></pre>
  </figure>`
}
