export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Three digits are more than the noise allows; results stay short to read and to compare. */
export function round(number) {
  return Number.isFinite(number) ? Number(number.toPrecision(number >= 1000 ? 4 : 3)) : undefined
}

/** A table in Markdown, its columns aligned. */
export function table(head, rows) {
  const widths = head.map((cell, at) => Math.max(String(cell).length, ...rows.map((row) => String(row[at] ?? '').length)))
  const line = (row) => `| ${widths.map((width, at) => String(row[at] ?? '').padEnd(width)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(Math.max(3, width)))), ...rows.map(line)].join('\n')
}
