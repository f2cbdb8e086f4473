// The frame of every page: head, navigation, messages, content, the code that made it, panel.
import type { Context } from 'koa'
import { button } from './forms.ts'
import { html, type Html } from './html.ts'
import type { Ledger } from './ledger.ts'
import { panel, panelWithoutSession } from './panel.ts'
import { visitor } from './visitor.ts'

export interface Page {
  readonly title: string
  readonly body: Html
  /** The lines that made it. */
  readonly code?: Html
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
  show(ctx: Context, { title, body, code, isLive = false }: Page, status = 200): void {
    const session = visitor()
    const { owner } = session
    const { cart = {}, role } = session.data
    const items = Object.values(cart).reduce((sum, count) => sum + count, 0)
    const [notices, problems] = [session.flash('notice'), session.flash('problem')]
    const link = (path: string, text: Html) => navLink(ctx, path, text)
    const head = top(
      html`${link('/', html`Shop`)} ${link('/cart', html`Cart <span class="count">${items}</span>`)}
      ${owner !== undefined && [link('/live', html`Live`), link('/devices', html`Devices`), link('/account', html`Account`), link('/admin', html`Admin`)]}
      ${owner === undefined && [link('/sign-in', html`Sign in`), link('/sign-up', html`Sign up`)]}`,
      owner !== undefined && html`<li>${button('/sign-out', 'Sign out', {}, 'quiet')}</li>`,
      role !== undefined && html`<span class="badge">${role}</span>`,
    )
    const messages = html`${notices.map((text) => html`<p class="notice" role="status">${String(text)}</p>`)}
    ${problems.map((text) => html`<p class="notice problem" role="alert">${String(text)}</p>`)}`
    answer(
      ctx,
      status,
      document(
        title,
        isLive,
        html`${head}
          <main id="main" class="wide" tabindex="-1">${messages} ${body} ${code}</main>
          ${panel(session, this.#ledger, this.#now())}`,
      ),
    )
  }

  /** A page that asks nothing of the session: for errors, where there may be none. */
  showWithoutSession(ctx: Context, { title, body }: Page, status: number): void {
    const link = (path: string, text: Html) => navLink(ctx, path, text)
    answer(
      ctx,
      status,
      document(
        title,
        false,
        html`${top(html`${link('/', html`Shop`)} ${link('/cart', html`Cart`)} ${link('/devices', html`Devices`)} ${link('/account', html`Account`)} ${link('/trouble', html`Trouble`)}`)}
          <main id="main" class="wide" tabindex="-1">${body}</main>
          ${panelWithoutSession(this.#ledger)}`,
      ),
    )
  }
}

function navLink(ctx: Context, path: string, text: Html): Html {
  return html`<li><a href="${path}" ${ctx.path === path && html` aria-current="page"`}>${text}</a></li>`
}

function top(links: Html, end: Html | false = false, badge: Html | false = false): Html {
  return html` <header class="top">
    <div class="wide">
      <div class="name">
        <a class="brand" href="/">Foolscap</a>
        <span class="of">a demo of <b>koa-fastsession</b> ${badge}</span>
      </div>
      <nav aria-label="Main">
        <ul>
          ${links} ${end}
        </ul>
      </nav>
    </div>
  </header>`
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
