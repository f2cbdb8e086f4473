// The thief: a program on another machine, played by this server, that has a copy of the visitor's cookies and no key of
// their browser. What it gets shows what a stolen cookie is worth.
import Router from 'koa-router'
import type { Context } from 'koa'
import { codeOf } from './code.ts'
import { button } from './forms.ts'
import { html, type Html } from './html.ts'
import { membersOnly, userOf } from './members.ts'
import type { Frame } from './page.ts'
import { clock } from './times.ts'
import { visitor, type Shop } from './visitor.ts'

const CODE = codeOf('thief.ts', 'thief')
const MOST_COPIES = 100
const PATIENCE = 10_000

interface Copy {
  readonly cookie: string
  readonly at: number
}

/** What one try is about, and the status that it got. */
interface Try {
  readonly what: Html
  readonly status: number
}

export function thiefRoutes(shop: Shop, frame: Frame): Router {
  const router = new Router()
  /** What was copied at the first try of each session, by public id; the oldest gives way. */
  const copies = new Map<string, Copy>()

  function copyOf(ctx: Context): Copy {
    const { publicId } = visitor()
    const copy = copies.get(publicId) ?? { cookie: ctx.get('cookie'), at: shop.now() }
    copies.set(publicId, copy)
    const [oldest] = copies.keys()
    if (copies.size > MOST_COPIES && oldest !== undefined) copies.delete(oldest)
    return copy
  }

  //#region thief
  // session({ deviceBound: true, … }) is all: the browser proves by itself that it is the one which signed in.

  router.get('/whoami', (ctx) => {
    const user = userOf(shop)
    ctx.status = user === undefined ? 401 : 200
    ctx.body = { name: user?.name }
  })

  /** Asks with somebody's cookies, and nothing else of their browser. */
  async function askAsThief(cookie: string, protocol: string): Promise<number> {
    const headers = { cookie, 'user-agent': 'thief', 'x-forwarded-proto': protocol }
    const { status } = await fetch(`${shop.address()}/whoami`, { headers, signal: AbortSignal.timeout(PATIENCE) })
    return status
  }
  //#endregion

  router.get('/thief', membersOnly(shop), (ctx) => show(ctx))

  router.post('/thief', membersOnly(shop), async (ctx) => {
    const { cookie, at } = copyOf(ctx)
    const whole = { what: html`What was copied at ${clock(at)}`, status: await askAsThief(cookie, ctx.protocol) }
    if (!visitor().isBound) {
      show(ctx, [whole])
      return
    }
    // A proof that has run out is worth as much as none.
    const proofless = cookie.split('; ').filter((pair) => !/^[^=]+-bound=/.test(pair))
    const status = await askAsThief(proofless.join('; '), ctx.protocol)
    show(ctx, [whole, { what: html`The same once its proof has run out`, status }])
  })

  function show(ctx: Context, tries: readonly Try[] = []): void {
    frame.show(ctx, { title: 'The thief', body: thiefPage(tries, visitor().isBound, ctx.secure), code: CODE })
  }

  return router
}

function thiefPage(tries: readonly Try[], isBound: boolean, isSecure: boolean): Html {
  return html` <h1>Play the thief</h1>
    <p>
      Malware and leaky proxies steal cookies, and no server can tell by a cookie who sends it. At your word this server
      copies yours, and asks for your account with the copy, as a program on another machine would.
    </p>
    ${
      tries.length > 0 &&
      html`<section class="card tried" aria-labelledby="tried-title">
        <h2 id="tried-title">What the thief gets</h2>
        <ul class="plain">
          ${tries.map(
            ({ what, status }) =>
              html`<li>
                <span>${what}</span>
                <span class="got"><b>${status}</b> ${WORDS[status] ?? 'no answer worth having'}</span>
              </li>`,
          )}
        </ul>
        ${isBound && html`<p class="hint">${boundWords(tries)}</p>`}
      </section>`
    }
    ${!isBound && html`<p class="notice problem">${isSecure ? UNKNOWN : PLAIN}</p>`}
    ${button('/thief', tries.length === 0 ? 'Copy my cookies and try them' : 'Try the copy again')}
    ${isBound && html`<p class="hint">Your browser keeps a key for this session, and proves every ten minutes that it is the one.</p>`}`
}

const WORDS: Readonly<Record<number, string>> = {
  200: 'your account',
  401: 'nobody’s account',
  503: 'nothing: the store is out of order',
}

const PLAIN =
  'This session is not bound to your browser: browsers bind over HTTPS alone, and this page came over plain HTTP. The thief is you until the session ends. You can end it: sign out, here or from your devices.'
const UNKNOWN =
  'This session is not bound to your browser, which does not know how, or has no place for a key. It works as sessions always did: the thief is you until the session ends. You can end it: sign out, here or from your devices.'

function boundWords(tries: readonly Try[]): string {
  const [whole, late] = tries.map(({ status }) => status)
  if (whole === 401) return 'The copy is worth nothing any more, and you are still signed in.'
  if (late === 401)
    return 'With a fresh proof beside it the copy opens your account until that runs out, ten minutes later at most. Nobody can make another one: the key is in your browser.'
  return 'In the first minute after a sign-in the session is served without proof, for requests may be on their way. Try the copy again after it.'
}
