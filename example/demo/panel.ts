// The panel at the foot of each page: what the session did. A commit comes after the handlers, so a page cannot know its
// own; it shows the last finished request of its session, and of itself what has happened so far. It says so.
import type { SessionManager } from 'koa-fastsession'
import { html, type Html } from './html.ts'
import type { Entry, Ledger } from './ledger.ts'
import { clock, span } from './times.ts'

const ORIGINS = {
  new: 'none: no cookie came',
  resumed: 'resumed from its cookie',
  invalid: 'none: the cookie was not signed by us',
  expired: 'none: the cookie’s session has ended',
  unbound: 'none: it is bound to another device',
}

const COLUMNS = ['Store calls', 'Events', 'Cookie sent']

export function panel(session: SessionManager<object>, ledger: Ledger, now: number): Html {
  const running = ledger.current()
  const last = ledger.last(session.publicId)
  return frame(
    html`${last && row('the one before', last, last.cookie ?? 'none')}
    ${running && row('this page, so far', running, 'not known yet')}`,
    html` <p>
        A session is stored after the page was made and before it leaves: what this page stores and sends stands in the
        next page’s panel.
      </p>
      ${facts(session, now)}`,
  )
}

/** The same on a page that has no session to ask. */
export function panelWithoutSession(ledger: Ledger): Html {
  const running = ledger.current()
  return frame(
    running === undefined ? html`` : row('this page', running, 'none'),
    html`<p>This page asks nothing of the session. What the browser holds, and what is stored, is as it was.</p>`,
  )
}

function frame(rows: Html, below: Html): Html {
  return html` <aside class="panel" aria-labelledby="panel-title">
    <div class="wide">
      <h2 id="panel-title">What <span class="package">koa-fastsession</span> did</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Request</th>
            ${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
      ${below}
    </div>
  </aside>`
}

function row(which: string, { request, calls, events, merged }: Entry, cookie: string): Html {
  const asked = [...calls].map(([verb, count]) => `${verb} × ${count}`).join(', ')
  const cells = [asked === '' ? 'none' : asked, events.length === 0 ? 'none' : events.join(', '), cookie]
  return html` <tr>
    <th scope="row">${request} <small>${which}</small></th>
    ${cells.map((cell, at) => html`<td data-label="${COLUMNS[at]}">${cell}${at === 1 && merged > 0 && html` <strong class="merged">merged with ${merged} newer ${merged === 1 ? 'change' : 'changes'}: nothing is lost</strong>`}</td>`)}
  </tr>`
}

function facts(session: SessionManager<object>, now: number): Html {
  const { origin, publicId, createdAt, authenticatedAt, expiresAt, isBound } = session
  if (origin !== 'resumed')
    return html`<dl>
      <div>
        <dt>Session</dt>
        <dd>${ORIGINS[origin]}</dd>
      </div>
    </dl>`
  return html` <dl>
    <div>
      <dt>Session</dt>
      <dd>${ORIGINS[origin]}${isBound && html` <span class="badge bound">bound to this browser</span>`}</dd>
    </div>
    <div>
      <dt>Public id, which is no cookie</dt>
      <dd class="id">${publicId}</dd>
    </div>
    <div>
      <dt>Began</dt>
      <dd>${clock(createdAt)}</dd>
    </div>
    <div>
      <dt>Password given</dt>
      <dd>${authenticatedAt === undefined ? 'never' : clock(authenticatedAt)}</dd>
    </div>
    <div>
      <dt>Ends if not used</dt>
      <dd>in ${span(expiresAt - now)}</dd>
    </div>
  </dl>`
}
