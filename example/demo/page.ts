// The frame of every page: head, navigation, messages, content, panel.
import type { Context } from 'koa'
import { html, type Html } from './html.ts'
import type { Ledger } from './ledger.ts'
import { panel } from './panel.ts'
import { visitor } from './visitor.ts'

export interface Page {
  readonly title: string
  readonly body: Html
  /** Also loads the script of the live view. */
  readonly isLive?: boolean
}

/** Makes the pages of a shop. */
export class Frame {
  readonly #ledger: Ledger
  readonly #now: () => number

  constructor(ledger: Ledger, now: () => number) {
    this.#ledger = ledger
    this.#now = now
  }

  /** Answers with a page in the frame; takes the messages that wait for it. */
  show(ctx: Context, { title, body, isLive = false }: Page, status = 200): void {
    const session = visitor()
    const { owner } = session
    const items = Object.values(session.data.cart ?? {}).reduce((sum, count) => sum + count, 0)
    const [notices, problems] = [session.flash('notice'), session.flash('problem')]
    const link = (path: string, text: Html) =>
      html`<li><a href="${path}" ${ctx.path === path && html` aria-current="page"`}>${text}</a></li>`
    answer(
      ctx,
      status,
      document(
        title,
        isLive,
        html` <header class="top">
            <div class="wide">
              <a class="brand" href="/">Foolscap</a>
              <nav aria-label="Main">
                <ul>
                  ${link('/', html`Shop`)} ${link('/cart', html`Cart <span class="count">${items}</span>`)}
                  ${owner !== undefined && [link('/live', html`Live`), link('/devices', html`Devices`), link('/account', html`Account`)]}
                  ${owner === undefined && [link('/sign-in', html`Sign in`), link('/sign-up', html`Sign up`)]}
                </ul>
              </nav>
            </div>
          </header>
          <main id="main" class="wide" tabindex="-1">
            ${notices.map((text) => html`<p class="notice" role="status">${String(text)}</p>`)}
            ${problems.map((text) => html`<p class="notice problem" role="alert">${String(text)}</p>`)} ${body}
          </main>
          ${panel(session, this.#ledger, this.#now())}`,
      ),
    )
  }
}

/** A page that knows no session: for errors, where there may be none. */
export function bare(ctx: Context, status: number, title: string, body: Html): void {
  answer(
    ctx,
    status,
    document(
      title,
      false,
      html` <header class="top">
          <div class="wide"><a class="brand" href="/">Foolscap</a></div>
        </header>
        <main id="main" class="wide narrow" tabindex="-1">${body}</main>`,
    ),
  )
}

function answer(ctx: Context, status: number, page: Html): void {
  ctx.status = status
  ctx.type = 'html'
  // Nobody finds these pages in a cache, or behind the Back button once the session has ended.
  ctx.set('Cache-Control', 'no-store')
  ctx.body = page.text
}

function document(title: string, isLive: boolean, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Foolscap</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/style.css" />
        ${isLive && html`<script src="/live.js" defer></script>`}
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        ${body}
      </body>
    </html> `
}
