// The moment at which the headers leave: Set-Cookie, Vary and Cache-Control are written then, whoever answers. Koa's
// error handler drops every header set before, and a handler may answer by itself: this is the one place that both pass.
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** What is asked when the headers leave. */
export interface Announcement {
  /** Whether the response depends on the session. */
  readonly isConsulted: boolean
  /** Our Set-Cookie line, if one is due. */
  setCookieLine(): string | undefined
}

type WriteHead = (this: ArmedResponse, ...args: unknown[]) => unknown

type Headed = Pick<ServerResponse, 'getHeader' | 'setHeader'>

/** Who is asked when the headers of a response leave, and what sends them then. */
interface Armed {
  readonly announcement: Announcement
  readonly writeHead: WriteHead
  readonly earlier: Armed | undefined
}

const ARMED = Symbol('koa-fastsession.armed')

// writeHead has many forms; what it is called with is passed on.
type ArmedResponse = Omit<ServerResponse, 'writeHead'> & { [ARMED]?: Armed | undefined; writeHead: WriteHead }

/** Asks `announcement` once, when the headers of `response` leave. */
export function arm(response: ServerResponse, announcement: Announcement): void {
  const armed = response as unknown as ArmedResponse
  armed[ARMED] = { announcement, writeHead: armed.writeHead, earlier: armed[ARMED] }
  // An own property, for this response alone. One function for all of them: a closure for each would cost more than
  // everything else here, when the garbage collector comes to it.
  armed.writeHead = writeHeadWithSession
}

function writeHeadWithSession(this: ArmedResponse, ...args: unknown[]): unknown {
  const armed = this[ARMED]
  // Called again: the headers have left, and Node's own function says so.
  if (armed === undefined) return (Object.getPrototypeOf(this) as ArmedResponse).writeHead.apply(this, args)
  this[ARMED] = armed.earlier
  if (args.length > 1) args = takeHeaders(this, args)
  announce(this, armed.announcement)
  try {
    return armed.writeHead.apply(this, args)
  } catch (error) {
    // Node refused a header: they have not left, and another answer follows.
    if (!this.headersSent) this[ARMED] = armed
    throw error
  }
}

// Names in small letters where they are looked up: Node would make a new text of each.
function announce(response: Headed, announcement: Announcement): void {
  const line = announcement.setCookieLine()
  if (line !== undefined) {
    const others = response.getHeader('set-cookie')
    response.setHeader(
      'Set-Cookie',
      others === undefined ? [line] : [...listed(others).filter((other) => other !== line), line],
    )
    if (!isPrivate(response.getHeader('cache-control'))) response.setHeader('Cache-Control', 'no-store')
  }
  if (line === undefined && !announcement.isConsulted) return
  const given = response.getHeader('vary')
  const vary = given === undefined ? '' : listed(given).join(', ')
  if (vary === '') response.setHeader('Vary', 'Cookie')
  else if (!/(?:^|,)\s*(?:\*|cookie)\s*(?:,|$)/i.test(vary)) response.setHeader('Vary', `${vary}, Cookie`)
}

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

const OURS = new Set(['set-cookie', 'cache-control', 'vary'])

/** Headers that are given to `writeHead` replace those set before: ours are added to what is given. */
function takeHeaders(response: Headed, args: unknown[]): unknown[] {
  const headers = args.at(-1)
  if (typeof headers !== 'object' || headers === null) return args
  const rest: OutgoingHttpHeaders = {}
  const pairs = Array.isArray(headers) ? paired(headers) : Object.entries(headers as OutgoingHttpHeaders)
  const taken = new Map<string, string[]>()
  for (const [name, value] of pairs) {
    const key = name.toLowerCase()
    if (OURS.has(key)) taken.set(key, [...(taken.get(key) ?? []), ...listed(value)])
    else rest[name] = name in rest ? [...listed(rest[name]), ...listed(value)] : value
  }
  for (const [name, values] of taken) response.setHeader(name, name === 'set-cookie' ? values : values.join(', '))
  // As an object: of a list Node 20 takes the last of several headers of one name.
  return [...args.slice(0, -1), rest]
}

/** `writeHead` takes a flat list of names and values, or a list of pairs. */
function paired(headers: unknown[]): [string, OutgoingHttpHeader][] {
  if (Array.isArray(headers[0])) return headers as [string, OutgoingHttpHeader][]
  return headers.flatMap((name, at) =>
    at % 2 === 0 ? [[name as string, headers[at + 1] as OutgoingHttpHeader] as [string, OutgoingHttpHeader]] : [],
  )
}
