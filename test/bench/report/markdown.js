// Markdown that is pleasant to read as text.

const WIDTH = 120

/** The document with its paragraphs and list items filled anew; headings, tables, comments and code stay as they are. */
export function wrapped(document) {
  const lines = []
  let isCode = false
  let open // the paragraph that is being collected
  const end = () => {
    if (open !== undefined) lines.push(...filled(open))
    open = undefined
  }
  for (const line of document.split('\n')) {
    if (line.startsWith('```')) isCode = !isCode
    if (isCode || /^(```|#|\||<!--|!\[|$)/.test(line)) {
      end()
      lines.push(line)
    } else if (open === undefined || /^(- |\d+\. )/.test(line)) {
      end()
      open = line
    } else {
      open += ` ${line.trim()}`
    }
  }
  end()
  return lines.join('\n')
}

function filled(paragraph) {
  const indent = ' '.repeat(/^(- |\d+\. )?/.exec(paragraph)[0].length)
  const lines = ['']
  // Code is not broken.
  for (const [word] of paragraph.matchAll(/(?:`[^`]*`|[^\s`]|`)+/g)) {
    const line = lines.at(-1)
    if (line.trim() !== '' && line.length + 1 + word.length > WIDTH) lines.push(indent + word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}

/** A table, its columns aligned. */
export function table(head, rows) {
  const widths = head.map((cell, at) =>
    Math.max(String(cell).length, ...rows.map((row) => String(row[at] ?? '').length)),
  )
  const line = (row) => `| ${widths.map((width, at) => String(row[at] ?? '').padEnd(width)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(Math.max(3, width)))), ...rows.map(line)].join('\n')
}

/** A figure as short as the noise of measuring allows. */
export function number(value) {
  if (value === undefined || value === null) return ''
  if (value === 0) return '0'
  if (value >= 100) return count(Math.round(value))
  return `${Number(value.toFixed(value < 10 ? 2 : 1))}`
}

export function count(value) {
  return value === undefined ? '' : `${value}`.replace(/\B(?=(\d{3})+$)/g, ',')
}
