// What can go wrong, made to go wrong; and the pages that say so.
import Router from 'koa-router'
import type { Context, Next } from 'koa'
import { codeOf } from './code.ts'
import { button, seeOther } from './forms.ts'
import { html, type Html } from './html.ts'
import type { Frame } from './page.ts'
import { visitor, type Shop } from './visitor.ts'

interface Words {
  readonly title: string
  readonly text: string
}

const OTHER: Words = { title: 'This did not work', text: 'The server could not make sense of the request.' }
const WORDS: Readonly<Record<number, Words>> = {
  403: {
    title: 'Not from here',
    text: 'This form was sent by another site, or by something that does not say where it comes from. Nothing was changed.',
  },
  404: { title: 'There is no such page', text: 'Perhaps it was never there.' },
  409: {
    title: 'Your session ended meanwhile',
    text: 'It was ended from elsewhere while this request ran. Nothing was stored, and nothing came back to life.',
  },
  500: {
    title: 'Something broke',
    text: 'It is our fault, and it is in the log. What the request had changed in your session was not stored; what was stored before is still there.',
  },
  503: {
    title: 'Back in a moment',
    text: 'The place where sessions are kept does not answer. You are not signed out: your browser keeps its cookie, and it works again when the store does.',
  },
}

/** Answers for errors and for pages that are not there. It asks nothing of the session: there may be none. */
export function errorPages(frame: Frame) {
  return async (ctx: Context, next: Next): Promise<void> => {
    try {
      await next()
      // Koa leaves the body undefined until it is set.
      if (ctx.status >= 400 && ctx.body === undefined) say(frame, ctx, ctx.status)
    } catch (error) {
      const status = statusOf(error)
      if (status >= 500) ctx.app.emit('error', error, ctx)
      if (status === 503) ctx.set('Retry-After', '10')
      say(frame, ctx, status)
    }
  }
}

function statusOf(error: unknown): number {
  const status: unknown = error instanceof Error && 'status' in error ? error.status : 500
  return typeof status === 'number' && status >= 400 && status <= 599 ? status : 500
}

function say(frame: Frame, ctx: Context, status: number): void {
  const { title, text } = WORDS[status] ?? OTHER
  const body = html` <section class="card error">
    <p class="status">${status}</p>
    <h1>${title}</h1>
    <p>${text}</p>
    <p>
      ${status === 503 && ctx.method === 'GET' && html`<a href="${ctx.path}">Try again</a> · `}<a href="/"
        >To the shop</a
      >
    </p>
  </section>`
  frame.showWithoutSession(ctx, { title, body }, status)
}

const OUTAGE = 10_000
const CODE = codeOf('trouble.ts', 'throw')

export function troubleRoutes({ unplug }: Shop, frame: Frame): Router {
  const router = new Router()

  router.get('/trouble', (ctx) => frame.show(ctx, { title: 'Trouble', body: troublePage(), code: CODE }))

  //#region throw
  router.get('/trouble/error', () => {
    visitor().data.card = 'never stored: the handler throws'
    throw new Error('thrown on purpose')
  })
  //#endregion

  router.post('/trouble/unplug', (ctx) => {
    unplug(OUTAGE)
    seeOther(ctx, '/trouble')
  })

  return router
}

function troublePage(): Html {
  return html` <h1>Trouble</h1>
    <div class="columns">
      <section class="card">
        <h2>The store is unplugged</h2>
        <p>
          For ten seconds nothing can be read or written. Every page is a 503, nobody turns anonymous, and then
          everything is as it was: reload this page and see.
        </p>
        ${button('/trouble/unplug', 'Unplug it')}
      </section>
      <section class="card">
        <h2>A handler throws</h2>
        <p>A 500. What the handler changed in the session is dropped, and what was stored before stays.</p>
        <p><a href="/trouble/error">Let it throw</a></p>
        <h2>A page that is not there</h2>
        <p><a href="/nowhere">Go nowhere</a></p>
      </section>
    </div>`
}
