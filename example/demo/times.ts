// Instants and lengths of time, in words.
import { html, type Html } from './html.ts'

const MINUTE = 60_000
const UNITS = [
  ['day', 24 * 60 * MINUTE],
  ['hour', 60 * MINUTE],
  ['minute', MINUTE],
] as const

/** Rounded down to its largest unit: "3 hours". */
export function span(milliseconds: number): string {
  for (const [name, length] of UNITS) {
    const count = Math.floor((milliseconds + MINUTE / 2) / length)
    if (count > 0) return `${count} ${name}${count === 1 ? '' : 's'}`
  }
  return 'less than a minute'
}

export function ago(instant: number, now: number): Html {
  const passed = now - instant
  return html`<time datetime="${new Date(instant).toISOString()}"
    >${passed < MINUTE ? 'just now' : `${span(passed)} ago`}</time
  >`
}

/** The server's own time of day: without a script the browser's is not known. */
export function clock(instant: number): Html {
  const date = new Date(instant)
  const [hours, minutes] = [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0'))
  return html`<time datetime="${date.toISOString()}">${hours ?? ''}:${minutes ?? ''}</time>`
}
