// The table of what was seen, in Markdown.

/**
 * @typedef {import('./play.js').Cell} Cell
 * @typedef {import('./site.js').Adapter} Adapter
 *
 * @param {readonly import('./play.js').Scene[]} scenes
 * @param {readonly { adapter: Adapter, version: string, seen: Cell[][], variants: { adapter: Adapter, seen: Cell[][] }[] }[]} columns
 */
export function report(scenes, columns) {
  const notes = []
  const rows = scenes.flatMap(({ title, facts }, scene) =>
    facts.map((fact, at) => [
      at === 0 ? title : '',
      fact,
      ...columns.map((column) => cellOf(column, scene, at, notes)),
    ]),
  )
  const table = [
    ['', '', ...columns.map(({ adapter, version }) => `${adapter.name} ${version}`)],
    ['---', '---', ...columns.map(() => '---')],
    ...rows,
  ]
  return `# Who loses what

The same scenes over HTTP on loopback with each library, on Node ${process.version}. \`npm run compare\` plays them again and
writes this page. Every cell was observed; **bold** is a change, a session, a login or a cookie that was lost, or one
that should have ended and did not.

${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}

The same library configured in another way, where that saw something else:

${notes.map((note, at) => `${at + 1}. ${note}`).join('\n')}

How each was configured:

${columns.map(({ adapter }) => `- **${adapter.name}**: ${adapter.configured}`).join('\n')}

Everything that is not named has its default. A scene is deterministic: its requests wait for one another at gates in
the handlers, after their session was loaded. "The browser afterwards" took every answer in the order in which it came,
the slow one last. A probe between each library and its store answers asynchronously, as a database would, counts calls
and fails on demand. A store that keeps JSON gives every request its own copy, as Redis and SQL do; a store that hands
out live objects seems to merge changes, in one process and for as long as nothing is restarted.
`
}

/** A cell, with a note for each variant that saw something else. */
function cellOf({ adapter, seen, variants }, scene, at, notes) {
  const { text, isLoss } = seen[scene][at]
  const marks = variants.flatMap((variant) => {
    const other = variant.seen[scene][at]
    if (other.text === text) return []
    const note = `${adapter.name} ${variant.adapter.configured}: ${other.isLoss ? `**${other.text}**` : other.text}`
    if (!notes.includes(note)) notes.push(note)
    return [notes.indexOf(note) + 1]
  })
  const shown = isLoss ? `**${text}**` : text
  return marks.length === 0 ? shown : `${shown} [${marks.join(', ')}]`
}
