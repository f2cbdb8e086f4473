// The moment at which the headers leave: Set-Cookie, Vary and Cache-Control are written then, no matter what answers. Koa's
// error handler drops every header set before, and a handler may answer by itself: both pass here.
import type { OutgoingHttpHeader, ServerResponse } from 'node:http'

/** Where the headers of a session come from. The first three are pure questions, asked when the headers are about to leave. */
export interface HeaderSource {
  /** Whether the response depends on the session. */
  readonly isConsulted: boolean
  /** Our Set-Cookie lines that are due, if any. */
  setCookieLines(): readonly string[] | string | undefined
  /** Other headers that are due: names and values, one name more than once if need be. */
  otherHeaders(): readonly (readonly [name: string, value: string])[] | undefined
  /** The headers have left. */
  onSent(): void
}

type WriteHead = (this: HookedResponse, ...args: unknown[]) => unknown

const HOOK = Symbol('koa-fastsession.hook')

// writeHead has many forms; it is passed what it was called with.
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
  // An own property, for this response alone. One function for all responses: a closure for each would cost more than
  // everything else here, when the garbage collector comes to it.
  hooked.writeHead = writeHeadWithSession
}

function writeHeadWithSession(this: HookedResponse, ...args: unknown[]): unknown {
  const hook = this[HOOK]
  // A copy of a response (Object.create, a proxy) has none of its own.
  if (hook === undefined) return (Object.getPrototypeOf(this) as HookedResponse).writeHead.apply(this, args)
  return hook.writeHead(this, args)
}

// Private fields: printing a response must show neither session nor settings.
class Hook {
  readonly #writeHead: WriteHead
  readonly #sources: HeaderSource[]
  /** Lines that an earlier try has written: Node refused that head, and the next try may have others. */
  #written: string[] = []
  #isOver = false

  constructor(writeHead: WriteHead, source: HeaderSource) {
    this.#writeHead = writeHead
    this.#sources = [source]
  }

  add(source: HeaderSource): void {
    this.#sources.push(source)
  }

  writeHead(response: HookedResponse, args: unknown[]): unknown {
    // Called again: the headers have left, and Node's own function says so. Or called by itself, by a listener.
    if (this.#isOver || response.headersSent) return this.#writeHead.apply(response, args)
    this.#isOver = true
    try {
      const result = this.#send(response, args)
      for (const source of this.#sources) source.onSent()
      return result
    } catch (error) {
      // Node refused a header: the headers have not left, and another answer follows.
      if (!response.headersSent) this.#isOver = false
      throw error
    }
  }

  #send(response: HookedResponse, args: unknown[]): unknown {
    const headers = this.#due()
    if (headers === undefined) {
      this.#withdraw(response)
      return this.#writeHead.apply(response, args)
    }
    const rest = setGiven(response, args)
    this.#write(response, headers)
    // Node's own function comes next, so nothing changes what was written.
    if (this.#writeHead === (Object.getPrototypeOf(response) as HookedResponse).writeHead)
      return this.#writeHead.apply(response, rest)
    return this.#sendThrough(response, rest, headers)
  }

  /** Listeners that were there before us (of the package on-headers, say) run next: what they set may take ours away. */
  #sendThrough(response: HookedResponse, args: unknown[], headers: Due): unknown {
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
          this.#write(response, headers)
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

  /** What is due; `undefined` for nothing, as in most responses. */
  #due(): Due | undefined {
    const cookies: string[] = []
    const others: (readonly [string, string])[] = []
    let isConsulted = false
    for (const source of this.#sources) {
      const lines = source.setCookieLines()
      if (typeof lines === 'string') cookies.push(lines)
      else if (lines !== undefined) cookies.push(...lines)
      others.push(...(source.otherHeaders() ?? []))
      isConsulted ||= source.isConsulted
    }
    return cookies.length === 0 && others.length === 0 && !isConsulted ? undefined : { cookies, others }
  }

  /** Writes our headers beside those of the app. Doing so twice changes nothing. */
  #write(response: HookedResponse, { cookies, others }: Due): void {
    if (this.#written.length > 0) this.#withdraw(response)
    if (cookies.length > 0) {
      this.#append(response, 'Set-Cookie', cookies)
      forbidCaching(response)
    }
    for (const [name, value] of others) this.#append(response, name, [value])
    const vary = listed(response.getHeader('vary')).join(', ')
    if (vary === '') response.setHeader('Vary', 'Cookie')
    else if (!/(?:^|,)\s*(?:\*|cookie)\s*(?:,|$)/i.test(vary)) response.setHeader('Vary', `${vary}, Cookie`)
  }

  #append(response: HookedResponse, name: string, lines: readonly string[]): void {
    const present = response.getHeader(name.toLowerCase())
    const others = present === undefined ? [] : listed(present).filter((line) => !lines.includes(line))
    response.setHeader(name, [...others, ...lines])
    for (const line of lines) this.#written.push(name, line)
  }

  /** Takes away the lines of an earlier try. */
  #withdraw(response: HookedResponse): void {
    for (let at = 0; at < this.#written.length; at += 2) {
      const name = this.#written[at] ?? ''
      const present = listed(response.getHeader(name))
      const kept = present.filter((line) => line !== this.#written[at + 1])
      if (kept.length === present.length) continue
      if (kept.length === 0) response.removeHeader(name)
      else response.setHeader(name, kept)
    }
    this.#written = []
  }
}

interface Due {
  readonly cookies: readonly string[]
  readonly others: readonly (readonly [name: string, value: string])[]
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
    // Node refuses such a list, with its own words.
    if (pairs === undefined) return args
    for (const [name] of pairs) response.removeHeader(name)
    // A name may come more than once.
    for (const [name, value] of pairs) appendHeader(response, name, value)
  } else {
    for (const [name, value] of Object.entries(headers as Record<string, OutgoingHttpHeader>))
      if (name !== '') response.setHeader(name, value)
  }
  return typeof message === 'string' ? [status, message] : [status]
}

/** `writeHead` takes a flat list of names and values, or a list of pairs. */
function pairsOf(headers: readonly unknown[]): [string, OutgoingHttpHeader][] | undefined {
  const flat = Array.isArray(headers[0]) ? headers.flat() : headers
  const isSound = flat.length % 2 === 0 && flat.every((entry, at) => at % 2 === 1 || typeof entry === 'string')
  if (!isSound) return undefined
  const pairs: [string, OutgoingHttpHeader][] = []
  for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at] as string, flat[at + 1] as OutgoingHttpHeader])
  return pairs
}

function appendHeader(response: HookedResponse, name: string, value: OutgoingHttpHeader): void {
  const present = response.getHeader(name)
  response.setHeader(name, present === undefined ? value : [...listed(present), ...listed(value)])
}

/** With our cookie no shared cache may keep the response. Some caches look at a field of their own first (RFC 9213). */
function forbidCaching(response: HookedResponse): void {
  if (!isPrivate(response.getHeader('cache-control'))) response.setHeader('Cache-Control', 'no-store')
  for (const name of response.getHeaderNames()) if (TARGETED.test(name)) response.setHeader(name, 'no-store')
}

const TARGETED = /^(?:.+-cache-control|surrogate-control|edge-control)$/i

function listed(header: OutgoingHttpHeader | undefined): string[] {
  if (header === undefined) return []
  return Array.isArray(header) ? header : [String(header)]
}

// RFC 9111, section 5.2.2.7: `private="field"` keeps that field private and lets the rest be stored.
function isPrivate(cacheControl: OutgoingHttpHeader | undefined): boolean {
  return (
    cacheControl !== undefined &&
    listed(cacheControl).some((value) => /(?:^|,)\s*(?:private|no-store)\s*(?:,|$)/i.test(value))
  )
}
