// Forms: what they look like, and what they send.
import type { Context } from 'koa'
import { html, type Html, type Part } from './html.ts'

/** A field of the form that was sent; empty where there is none. */
export function field(ctx: Context, name: string): string {
  const body: unknown = ctx.request.body
  const value: unknown =
    typeof body === 'object' && body !== null && Object.hasOwn(body, name) ? body[name as keyof typeof body] : ''
  return typeof value === 'string' ? value : ''
}

/** After a form was taken: so that a reload does not send it again. */
export function seeOther(ctx: Context, path: string): void {
  ctx.status = 303
  ctx.redirect(path)
}

interface Input {
  readonly label: string
  readonly name: string
  readonly type: 'text' | 'email' | 'password'
  readonly autocomplete: string
  readonly value?: string
  readonly hint?: string
  readonly minlength?: number
  readonly maxlength?: number
}

export function input({ label, name, type, autocomplete, value, hint, minlength, maxlength = 200 }: Input): Html {
  return html` <div class="field">
    <label for="${name}">${label}</label>
    <input
      id="${name}"
      name="${name}"
      type="${type}"
      autocomplete="${autocomplete}"
      maxlength="${maxlength}"
      required
      ${value !== undefined && html` value="${value}"`}${minlength !== undefined && html` minlength="${minlength}"`}
      ${hint !== undefined && html` aria-describedby="${name}-hint"`}
    />
    ${hint !== undefined && html`<p class="hint" id="${name}-hint">${hint}</p>`}
  </div>`
}

/** A form of one button. */
export function button(action: string, text: Part, fields: Readonly<Record<string, string>> = {}, look = ''): Html {
  return html` <form method="post" action="${action}">
    ${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
    <button class="${look}">${text}</button>
  </form>`
}

/** A form on a card of its own, with what was wrong with it last time. */
export function card(title: string, action: string, problem: string | undefined, body: Html): Html {
  return html` <section class="card">
    <h1>${title}</h1>
    ${problem !== undefined && html`<p class="notice problem" role="alert">${problem}</p>`}
    <form method="post" action="${action}">${body}</form>
  </section>`
}
