// Writes Set-Cookie, Vary and Cache-Control at the moment when the headers leave, whatever sends the response. Koa's error
// handler drops every header set before, and a handler may send the response by itself: both pass here.
import type { OutgoingHttpHeader, ServerResponse } from 'node:http'

/** A renewal gives way to a cookie of its name that the app has set. */
export type Header = readonly [name: string, value: string, isRenewal?: boolean]

export const SET_COOKIE = 'Set-Cookie'
export const NO_HEADERS: readonly Header[] = []

/** Where the headers of a session come from. */
export interface HeaderSource {
  /** Whether the response depends on the session. */
  readonly isConsulted: boolean
  /** The session is closed: the headers have no further effect on it, and `onSent` need not be called. */
  readonly isOver: boolean
  /** The headers that are due; one name may come more than once. Called when the headers leave, and again if Node refused them. */
  dueHeaders(): readonly Header[]
  /** The headers have left. */
  onSent(): void
}

type WriteHead = (this: HookedResponse, ...args: unknown[]) => unknown

const HOOK = Symbol('koa-fastsession.hook')

// writeHead has many forms, so its arguments are passed on as they are.
type HookedResponse = Omit<ServerResponse, 'writeHead'> & { [HOOK]?: Hook; writeHead: WriteHead }

/** Asks `source` when the headers of `response` leave, and writes its headers then. */
export function onHeaders(response: ServerResponse, source: HeaderSource): void {
  const hooked = response as unknown as HookedResponse
  const hook = hooked[HOOK]
  if (hook !== undefined) {
    hook.add(source)
    return
  }
  hooked[HOOK] = new Hook(hooked.writeHead, source)
  // An own property, for this response alone. All responses share one function: a closure for each would cost more than
  // everything else here, once the garbage collector comes to it.
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is a method of the response from now on
  hooked.writeHead = Hook.writeHead
}

// Private fields: printing a response must show neither session nor settings.
class Hook {
  readonly #writeHead: WriteHead
  /** One for each middleware. */
  readonly #sources: HeaderSource[]
  /** The headers that are due. After a try that Node refused, those that it wrote: the next try removes them. */
  #due: readonly Header[] = NO_HEADERS
  #isOver = false

  constructor(writeHead: WriteHead, source: HeaderSource) {
    this.#writeHead = writeHead
    this.#sources = [source]
  }

  add(source: HeaderSource): void {
    this.#sources.push(source)
  }

  /** Takes the place of a response's own `writeHead`. */
  static writeHead(this: HookedResponse, ...args: unknown[]): unknown {
    const hook = this[HOOK]
    // A copy of a response (Object.create, a proxy) has none of its own.
    if (hook === undefined) return (Object.getPrototypeOf(this) as HookedResponse).writeHead.apply(this, args)
    // Called again after the headers have left, which Node's own function refuses; or called by a listener.
    if (hook.#isOver || this.headersSent) return hook.#writeHead.apply(this, args)
    hook.#isOver = true
    for (const header of hook.#due) remove(this, header)
    hook.#due = NO_HEADERS
    let isConsulted = false
    for (const source of hook.#sources) {
      // A source that throws is not asked again: the error response must be able to leave.
      const headers = source.dueHeaders()
      hook.#due = hook.#due.length === 0 ? headers : [...hook.#due, ...headers]
      isConsulted ||= source.isConsulted
    }
    try {
      const isDue = isConsulted || hook.#due.length > 0
      const rest = isDue ? hook.#write(this, args) : args
      // If Node's own function is next, nothing can change what was written.
      const isNext = hook.#writeHead === (Object.getPrototypeOf(this) as HookedResponse).writeHead
      const result = isNext || !isDue ? hook.#writeHead.apply(this, rest) : hook.#sendThrough(this, rest)
      for (const source of hook.#sources) if (!source.isOver) source.onSent()
      return result
    } catch (error) {
      // Node refused a header: the headers have not left, and another response follows.
      hook.#isOver = this.headersSent
      throw error
    }
  }

  /** Runs the listeners that were there before us (of the package on-headers, say). When one changes a header, ours are written again. */
  #sendThrough(response: HookedResponse, args: unknown[]): unknown {
    let isWriting = false
    const restore = SETTERS.map((name) => {
      const own = Object.getOwnPropertyDescriptor(response, name)
      const setter = response[name] as ((...given: unknown[]) => unknown) | undefined
      if (setter === undefined) return () => undefined
      const watched = (...given: unknown[]): unknown => {
        const result = setter.apply(response, given)
        if (isWriting || response.headersSent) return result
        isWriting = true
        try {
          this.#write(response, [])
        } finally {
          isWriting = false
        }
        return result
      }
      Object.defineProperty(response, name, { value: watched, configurable: true, writable: true })
      return () =>
        own === undefined ? Reflect.deleteProperty(response, name) : Object.defineProperty(response, name, own)
    })
    try {
      return this.#writeHead.apply(response, args)
    } finally {
      for (const undo of restore) undo()
    }
  }

  /**
   * Writes the headers that `writeHead` was given, then ours. Writing ours twice changes nothing.
   *
   * @returns the arguments that are left.
   */
  #write(response: HookedResponse, args: unknown[]): unknown[] {
    const rest = args.length > 1 ? setGiven(response, args) : args
    let hasCookie = false
    for (const [name, value, isRenewal] of this.#due) {
      if (name === SET_COOKIE) hasCookie = true
      // Names in lower case, here and below: otherwise Node makes a new text of the name.
      const present = response.getHeader(name === SET_COOKIE ? 'set-cookie' : name)
      // The app behind a gateway may have given the session a new id.
      if (isRenewal === true && hasNameOf(present, value)) continue
      response.setHeader(name, present === undefined ? value : [...without(present, value), value])
    }
    if (hasCookie) forbidCaching(response)
    const given = response.getHeader('vary')
    const vary = given === undefined ? '' : listed(given).join(', ')
    if (vary === '') response.setHeader('Vary', 'Cookie')
    else if (!/(?:^|,)\s*(?:\*|cookie)\s*(?:,|$)/i.test(vary)) response.setHeader('Vary', `${vary}, Cookie`)
    return rest
  }
}

function remove(response: HookedResponse, [name, value]: Header): void {
  const present = listed(response.getHeader(name))
  const kept = without(present, value)
  if (kept.length === present.length) return
  if (kept.length === 0) response.removeHeader(name)
  else response.setHeader(name, kept)
}

const SETTERS = ['setHeader', 'appendHeader', 'removeHeader', 'setHeaders'] as const

/**
 * Sets the headers that `writeHead` was given, as Node would: they replace those of the same name that were set before.
 * Ours come after them.
 *
 * @returns the arguments without headers.
 */
function setGiven(response: HookedResponse, args: unknown[]): unknown[] {
  const [status, message, third] = args
  // writeHead(status, message, headers), where either may be left out; of two objects Node takes the last.
  const headers = typeof message === 'string' ? third : (third ?? message)
  if (typeof headers !== 'object' || headers === null) return args
  if (Array.isArray(headers)) {
    const pairs = pairsOf(headers)
    // Node refuses such a list with an error of its own.
    if (pairs === undefined) return args
    for (const [name] of pairs) response.removeHeader(name)
    for (const [name, value] of pairs) {
      // A name may come more than once.
      const present = response.getHeader(name)
      response.setHeader(name, present === undefined ? value : [...listed(present), ...listed(value)])
    }
  } else {
    const cookies: string[] = []
    for (const [name, value] of Object.entries(headers as Record<string, OutgoingHttpHeader>)) {
      if (name !== '') response.setHeader(name, value)
      // Under names of different case Node sends both where no header was set before: no cookie may be lost.
      if (/^set-cookie$/i.test(name) && cookies.push(...listed(value)) > 1) response.setHeader(name, cookies)
    }
  }
  return typeof message === 'string' ? [status, message] : [status]
}

/** `writeHead` takes a flat list of names and values, or a list of pairs. */
function pairsOf(headers: readonly unknown[]): [string, OutgoingHttpHeader][] | undefined {
  const flat = Array.isArray(headers[0]) ? headers.flat() : headers
  const isSound = flat.length % 2 === 0 && flat.every((entry, at) => at % 2 === 1 || typeof entry === 'string')
  if (!isSound) return
  const pairs: [string, OutgoingHttpHeader][] = []
  for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at] as string, flat[at + 1] as OutgoingHttpHeader])
  return pairs
}

/** No shared cache may keep a response with our cookie. Some caches obey a field of their own first (RFC 9213). */
function forbidCaching(response: HookedResponse): void {
  if (!isPrivate(response.getHeader('cache-control'))) response.setHeader('Cache-Control', 'no-store')
  for (const name of response.getHeaderNames())
    if (name.endsWith('-control') && TARGETED.test(name)) response.setHeader(name, 'no-store')
}

const TARGETED = /^(?:.+-cache-control|surrogate-control|edge-control)$/

function listed(header: OutgoingHttpHeader | readonly string[] | undefined): readonly string[] {
  if (header === undefined) return []
  return typeof header === 'object' ? header : [String(header)]
}

/** Whether a header has a cookie of the same name. */
function hasNameOf(header: OutgoingHttpHeader | undefined, cookie: string): boolean {
  const start = cookie.slice(0, cookie.indexOf('=') + 1)
  return listed(header).some((line) => line.startsWith(start))
}

function without(header: OutgoingHttpHeader | readonly string[], unwanted: string): string[] {
  return listed(header).filter((line) => line !== unwanted)
}

// Once it has begun it cannot fail, so it never backtracks: a string that is not closed goes to the end.
const QUOTED = /"(?:[^"\\]|\\.?)*"?/gs

// RFC 9111, section 5.2.2.7: `private="field"` keeps that field private and lets the rest be stored.
function isPrivate(cacheControl: OutgoingHttpHeader | undefined): boolean {
  if (cacheControl === undefined) return false
  const directives = listed(cacheControl).join(',').replace(QUOTED, '""')
  return /(?:^|,)\s*(?:private|no-store)\s*(?:,|$)/i.test(directives)
}
