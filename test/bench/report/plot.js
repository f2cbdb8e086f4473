// Draws the CPU figures as an SVG: one panel for each workload, one dot for each library, on one logarithmic scale. It knows results alone:
// the same figures make the same drawing.

const PANELS = [
  ['W1', 'Visitor without a cookie'],
  ['W2', 'Read a field'],
  ['W3', 'Change a field'],
  ['W4', 'New session'],
  ['W5', 'Read a field of a 10 KB session'],
  ['W6', 'Forged cookie'],
]

/** Peers that are measured without a socket on equal terms; Express changes prototypes there and would look worse than it is. */
const LIBRARIES = [
  ['koa-fastsession', 'koa-fastsession'],
  ['koa-session', 'koa-session'],
  ['koa-generic-session', 'koa-generic-session'],
  ['koa-session-minimal', 'koa-session-minimal *'],
  ['fastify-session', '@fastify/session'],
]

const WIDTH = 880
const HEAD = 96
const FOOT = 80
const MARGIN = 28
const GAP = 36
const ROW = 23
const PANEL_HEAD = 34
const PANEL_FOOT = 34
const LABELS = 158
const VALUES = 40
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200]

const PANEL = PANEL_HEAD + LIBRARIES.length * ROW + PANEL_FOOT
const COLUMN = (WIDTH - 2 * MARGIN - GAP) / 2
const HEIGHT = HEAD + (PANELS.length / 2) * PANEL + FOOT
const TRACK = COLUMN - LABELS - VALUES

// A background of its own: a page may be light where the reader's system is dark.
const STYLE = `
  .paper { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 19px; font-weight: 650 }
  .panel { font-size: 14px; font-weight: 650 }
  .quiet { fill: #59636e }
  .tick { font-size: 11px; fill: #59636e; text-anchor: middle }
  .name { text-anchor: end }
  .value { text-anchor: end; font-variant-numeric: tabular-nums }
  .ours { font-weight: 650; fill: #0550ae }
  .grid { stroke: #d8dee4 }
  .koa { stroke: #59636e; stroke-dasharray: 2 3 }
  .stem { stroke: #afb8c1; stroke-width: 2 }
  .dot { fill: #6e7781 }
  .stem.ours { stroke: #0969da; stroke-width: 4 }
  .dot.ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .quiet, .tick { fill: #9198a1 }
    .ours { fill: #79c0ff }
    .grid { stroke: #2a313c }
    .koa { stroke: #9198a1 }
    .stem { stroke: #565e69 }
    .dot { fill: #9198a1 }
    .stem.ours { stroke: #4493f8 }
    .dot.ours { fill: #4493f8 }
  }
`

const FOOTNOTES = [
  ({ rounds }) => `Medians of ${rounds} rounds in which all take turns, each paired with bare Koa in the same round.`,
  () => '* signs nothing, so it has nothing to check.',
  () => 'In "Change a field" all requests under way write to one session: koa-fastsession alone notices, and merges.',
]

/** The drawing of one run of the CPU part. */
export function plot({ node, settings, rows }) {
  const ratio = (library, workload) => rows.find(({ candidate }) => candidate === library)?.[workload]?.overKoa
  const all = PANELS.flatMap(([workload]) => LIBRARIES.map(([library]) => ratio(library, workload) ?? 1))
  const end = Math.max(...all) * 1.08
  const x = (value) => (Math.log(Math.max(1, value)) / Math.log(end)) * TRACK

  const panels = PANELS.map(([workload, title], at) => {
    const left = MARGIN + (at % 2) * (COLUMN + GAP)
    const top = HEAD + Math.floor(at / 2) * PANEL
    const bottom = PANEL_HEAD + LIBRARIES.length * ROW
    const ticks = TICKS.filter((tick) => tick < end).map((tick) => {
      const place = fixed(LABELS + x(tick))
      return `<line class="${tick === 1 ? 'koa' : 'grid'}" x1="${place}" x2="${place}" y1="${PANEL_HEAD - 6}" y2="${bottom}"/><text class="tick" x="${place}" y="${bottom + 14}">${tick}</text>`
    })
    const lines = LIBRARIES.map(([library, name], row) => {
      const value = ratio(library, workload)
      if (value === undefined) return ''
      const y = PANEL_HEAD + row * ROW + 8
      const ours = row === 0 ? ' ours' : ''
      const place = fixed(LABELS + x(value))
      return [
        `<text class="name${ours}" x="${LABELS - 12}" y="${y + 4}">${escaped(name)}</text>`,
        `<line class="stem${ours}" x1="${LABELS}" x2="${place}" y1="${y}" y2="${y}"/>`,
        `<circle class="dot${ours}" cx="${place}" cy="${y}" r="5"/>`,
        `<text class="value${ours}" x="${fixed(COLUMN)}" y="${y + 4}">${multiple(value)}</text>`,
      ].join('')
    })
    return `<g transform="translate(${fixed(left)} ${top})">
<text class="panel" x="0" y="10">${escaped(title)}</text>
${[...ticks, ...lines].join('\n')}
</g>`
  })

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title desc">
<title id="title">CPU per request, in multiples of a bare Koa request, on Node ${node}</title>
<desc id="desc">${escaped(inWords(ratio))}</desc>
<style>${STYLE}</style>
<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>
<text class="title" x="${MARGIN}" y="38">CPU per request, in multiples of a bare Koa request</text>
<text class="quiet" x="${MARGIN}" y="61">Less is better. Logarithmic scale; 1 (dotted) is Koa without sessions. Node ${node}, sessions in memory, ${settings.lanes} requests under way.</text>
${panels.join('\n')}
${FOOTNOTES.map((line, at) => `<text class="quiet" x="${MARGIN}" y="${HEIGHT - 55 + at * 19}">${escaped(line(settings))}</text>`).join('\n')}
</svg>
`
}

/** What the drawing shows, for those who do not see it. */
function inWords(ratio) {
  const panel = ([workload, title]) => {
    const values = LIBRARIES.map(([library, name]) => [name.replace(' *', ''), ratio(library, workload)]).filter(
      ([, value]) => value !== undefined,
    )
    return `${title}: ${values.map(([name, value]) => `${name} ${multiple(value)}`).join(', ')}.`
  }
  return PANELS.map(panel).join(' ')
}

/** A ratio, as short as the noise of measuring allows. */
export function multiple(value) {
  return value.toFixed(value < 9.95 ? 1 : 0)
}

function fixed(number) {
  return Number(number.toFixed(1))
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
