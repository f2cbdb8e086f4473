// What the shop sells, and how it looks: drawings of a few lines each, in a box of 48 by 48.
import { Html, html } from './html.ts'

export interface Article {
  readonly id: string
  readonly name: string
  readonly about: string
  /** In cents. */
  readonly price: number
  readonly drawing: Html
}

// Drawings are the program's own text.
const drawn = (paths: string) =>
  new Html(`<svg viewBox="0 0 48 48" aria-hidden="true" focusable="false">${paths}</svg>`)

export const GOODS: readonly Article[] = [
  {
    id: 'notebook',
    name: 'Notebook',
    about: '96 pages, thread bound',
    price: 1400,
    drawing: drawn(
      '<rect class="wash" x="12" y="7" width="26" height="34" rx="3"/><path d="M15 7h20a3 3 0 0 1 3 3v28a3 3 0 0 1-3 3H15a3 3 0 0 1-3-3V10a3 3 0 0 1 3-3zM18 7v34M9 14h6M9 24h6M9 34h6M23 15h10M23 20h6"/>',
    ),
  },
  {
    id: 'pencil',
    name: 'Pencil',
    about: 'Soft, cedar, unlacquered',
    price: 220,
    drawing: drawn(
      '<path class="wash" d="M33 8l7 7-23 23-9 2 2-9z"/><path d="M33 8l7 7-23 23-9 2 2-9zM28 13l7 7M10 31l7 7M24 17l7 7"/>',
    ),
  },
  {
    id: 'ink',
    name: 'Ink',
    about: 'Blue-black, 50 ml',
    price: 1150,
    drawing: drawn(
      '<path class="wash" d="M10 28h28v10a3 3 0 0 1-3 3H13a3 3 0 0 1-3-3z"/><path d="M18 7h12v7H18zM19 14v4l-6 3a5 5 0 0 0-3 4.5V38a3 3 0 0 0 3 3h22a3 3 0 0 0 3-3V25.5a5 5 0 0 0-3-4.5l-6-3v-4M10 28h28"/>',
    ),
  },
  {
    id: 'envelopes',
    name: 'Envelopes',
    about: '25, lined, C6',
    price: 890,
    drawing: drawn(
      '<path class="wash" d="M7 15l17 13 17-13v21H7z"/><path d="M10 12h28a3 3 0 0 1 3 3v18a3 3 0 0 1-3 3H10a3 3 0 0 1-3-3V15a3 3 0 0 1 3-3zM8 14l16 13 16-13M8 35l11-12M40 35L29 23"/>',
    ),
  },
  {
    id: 'ruler',
    name: 'Ruler',
    about: 'Brass, 15 cm',
    price: 1800,
    drawing: drawn(
      '<path class="wash" d="M32 6l10 10-26 26L6 32z"/><path d="M32 6l10 10-26 26L6 32zM28 10l4 4M23 15l3 3M18 20l4 4M13 25l3 3M10 28l4 4"/>',
    ),
  },
  {
    id: 'scissors',
    name: 'Scissors',
    about: 'For paper, left or right',
    price: 2400,
    drawing: drawn(
      '<circle class="wash" cx="13" cy="36" r="5"/><circle class="wash" cx="35" cy="36" r="5"/><path d="M13 31a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM35 31a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM15.5 31.5L33 6M32.5 31.5L15 6"/>',
    ),
  },
]

export function articleOf(id: unknown): Article | undefined {
  return GOODS.find((article) => article.id === id)
}

export function money(cents: number): Html {
  return html`<span class="money">€ ${(cents / 100).toFixed(2)}</span>`
}
