// The second cookie of a bound session, `<name>-bound`: `<instant>.<signature>`, an HMAC under the signing keys over the
// binding and the instant of the proof. It opens no session by itself, and checking it needs no store call.
import { formatSetCookie, type CookieSettings } from './cookie.ts'
import { parseSessionCookies, type Signing } from './request-cookie.ts'

/** How far the clocks of two processes may differ, in milliseconds. */
export const MAX_SKEW = 60_000

/** The cookie ends this many seconds before its proof, so that a request that is on its way then is served. */
const MARGIN = 10
// The shape of the session's own cookie, so that one parser reads both.
const INSTANT_LENGTH = 22

// Attributes that no instruction may have: browsers refuse the whole registration because of one.
const UNPERMITTED = /; (?:Priority=\w+|Partitioned)/g

/**
 * The settings of the second cookie: another name, and the attributes of the session's cookie except those that no instruction
 * may have.
 */
function boundCookieOf(cookie: CookieSettings): CookieSettings {
  const name = `${cookie.name}-bound`
  return {
    ...cookie,
    name,
    prefix: `${name}=`,
    attributes: cookie.attributes.replace(UNPERMITTED, ''),
    secureAttributes: cookie.secureAttributes.replace(UNPERMITTED, ''),
  }
}

/** Whether browsers keep a proof beside the session's cookie: not for partitioned cookies, nor, in Chromium, for this name prefix. */
export function canBeBound({ name, attributes }: CookieSettings): boolean {
  return !attributes.includes('; Partitioned') && !/^__host-http-/i.test(name)
}

/** Whether a request has a second cookie for that session cookie, valid or not. */
export function hasBoundCookie(header: string | undefined, cookie: CookieSettings): boolean {
  const prefix = `${cookie.name}-bound=`
  return header?.split(';').some((pair) => pair.trimStart().startsWith(prefix)) === true
}

/** The second cookie as an instruction describes it to the browser: as {@link boundCookieLine}, but without the lifetime. */
export function boundCookieInstruction(cookie: CookieSettings): { readonly name: string; readonly attributes: string } {
  const { name, isAuto, attributes, secureAttributes } = boundCookieOf(cookie)
  return { name, attributes: (isAuto ? secureAttributes : attributes).slice('; '.length) }
}

/** The Set-Cookie line for a proof that was given now. `within` is how long it lasts, in milliseconds. */
export function boundCookieLine(
  signing: Signing & { readonly cookie: CookieSettings },
  id: string,
  within: number,
  now: number,
): string {
  const instant = now.toString(36).padStart(INSTANT_LENGTH, '0')
  const value = `${instant}.${signing.keyring.sign(textOf(signing, id, instant))}`
  return formatSetCookie(boundCookieOf(signing.cookie), value, Math.floor(within / 1000) - MARGIN, true)
}

/** The Set-Cookie line that clears the second cookie. */
export function clearedBoundCookie(cookie: CookieSettings, isSecure: boolean): string {
  return formatSetCookie(boundCookieOf(cookie), '', 0, isSecure)
}

/** Whether a Cookie header proves that binding. One of several cookies is enough: another host may have planted the others. */
export function isProvenBy(
  header: string | undefined,
  signing: Signing,
  id: string,
  within: number,
  now: number,
): boolean {
  if (header === undefined) return false
  const prefix = `${signing.cookie.name}-bound=`
  const { values } = parseSessionCookies(header, { prefix }, signing.keyring.length)
  return values.some((value) => {
    const dot = value.length - signing.keyring.length - 1
    const instant = value.slice(0, dot)
    const provenAt = parseInt(instant, 36)
    // parseInt also accepts texts that are never written here, but those are never signed.
    return (
      provenAt - now <= MAX_SKEW &&
      now - provenAt < within &&
      signing.keyring.index(textOf(signing, id, instant), value.slice(dot + 1)) !== -1
    )
  })
}

// A space stands before the first equals sign, so this text is never one that is signed for another cookie.
function textOf({ cookie }: Signing, id: string, instant: string): string {
  return `device-bound cookie ${cookie.prefix} ${id} ${instant}`
}
