// The README's section on speed, from the results alone.
import { wrapped } from './markdown.js'
import { multiple } from './plot.js'
import { cell, newest } from './results.js'

const BEGIN = '<!-- npm run bench writes from here -->'
const END = '<!-- to here -->'

/** The section's text between the two marks. */
export function section({ cpu, redis, memory }) {
  const run = newest(cpu)
  const pair = (workload) =>
    `**${multiple(cell(run, 'koa-fastsession', workload).overKoa)}** (${multiple(cell(run, 'koa-session', workload).overKoa)})`
  const lines = [
    `![CPU per request of five session libraries, in multiples of a bare Koa request](test/bench/cpu.svg)`,
    '',
    `The CPU of a whole request on Node ${run.node}, in multiples of a bare Koa request, and koa-session's in brackets: a visitor without a cookie ${pair('W1')}, reading a field ${pair('W2')},`,
    `changing one ${pair('W3')}, a new session ${pair('W4')}, reading a field of 10 KB ${pair('W5')}, a forged cookie ${pair('W6')}.`,
    memoryLine(newest(memory)) + redisLine(newest(redis)),
  ]
  return `${BEGIN}\n${wrapped(lines.join('\n'))}\n${END}`
}

function memoryLine(run) {
  const row = run?.fills.find(({ candidate, size }) => candidate === 'koa-fastsession' && size === 1_000_000)
  return row
    ? `A small session takes ${Math.round(row.bytes)} bytes of memory, a million of them ${Math.round((row.bytes * 1_000_000) / 2 ** 20)} MiB, which are free again when they have ended. `
    : ''
}

function redisLine(run) {
  const row = run?.commands?.find(({ candidate }) => candidate === 'koa-fastsession:redis, rolling')
  if (!row) return ''
  const sent = (workload) => Object.values(row[workload].sent).reduce((sum, n) => sum + n, 0)
  return `Redis gets ${sent('W2')} command for a read, ${sent('W3')} for a change, ${sent('W1')} for a visitor, sliding expiry included.`
}

/** The README with that section in the place of what stood between the marks. */
export function withSection(readme, text) {
  const [before, rest] = readme.split(BEGIN)
  const after = rest?.split(END)[1]
  if (after === undefined) throw new Error(`README.md has no lines ${BEGIN} and ${END}`)
  return before + text + after
}
