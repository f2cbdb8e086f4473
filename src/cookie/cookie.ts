// The session cookie, `<id>.<signature>`: its attributes, checked against the rules of browsers, and its text.
import { checkFlag, checkInnerNames, checkOneOf, checkText } from '../checks.ts'
import { invalidMix, invalidValue } from '../errors.ts'

/**
 * Attributes of the session cookie (RFC 6265bis). The lifetime is not among them: it is `maxAge` of the options.
 *
 * Combinations that browsers refuse throw when `session()` is called.
 */
export interface CookieOptions {
  /** A token. `'__Host-sid'` binds the cookie to HTTPS and to the one host that set it. @default 'sid' */
  readonly name?: string | undefined
  /** The cookie is sent to this path and all below it. @default '/' */
  readonly path?: string | undefined
  /** The cookie is sent to this domain and all below it. Left out: only to the host that set it. */
  readonly domain?: string | undefined
  /** Hides the cookie from scripts. @default true */
  readonly httpOnly?: boolean | undefined
  /**
   * Whether the cookie is sent only over HTTPS. `'auto'` follows `ctx.secure`, which behind a TLS proxy needs
   * `app.proxy = true`; a cookie that browsers accept only over HTTPS (`__Host-`, `SameSite=None`, `Partitioned`) is always
   * marked.
   *
   * @default 'auto'
   */
  readonly secure?: boolean | 'auto' | undefined
  /** Which requests from other sites carry the cookie: with `'lax'` only links. `false`: no attribute. @default 'lax' */
  readonly sameSite?: 'strict' | 'lax' | 'none' | false | undefined
  /** One cookie jar per embedding site (CHIPS). @default false */
  readonly partitioned?: boolean | undefined
  /** Which cookies a full jar drops first; only Chromium knows it. @default none */
  readonly priority?: 'low' | 'medium' | 'high' | undefined
}

/** Attributes, checked and written out once. */
export interface CookieSettings {
  readonly name: string
  /** The name and the equals sign: what a Cookie header is searched for, and what is signed with the id. */
  readonly prefix: string
  /** Whether the connection decides about `Secure`. */
  readonly isAuto: boolean
  readonly attributes: string
  readonly secureAttributes: string
}

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]{1,256}$/
// RFC 6265, section 4.1.1: any character but controls and the semicolon.
const ATTRIBUTE = /^[ -:<-~]+$/
/** The names of the attributes. */
export const COOKIE_ATTRIBUTES: readonly string[] = [
  'name',
  'path',
  'domain',
  'httpOnly',
  'secure',
  'sameSite',
  'partitioned',
  'priority',
]

/**
 * Checks attributes against what browsers refuse (RFC 6265bis, sections 4.1.3 and 5.7).
 *
 * @throws {TypeError} naming the attribute or the combination.
 */
export function cookieSettings(options: object, at: string): CookieSettings {
  checkInnerNames(options, at, COOKIE_ATTRIBUTES, '; the lifetime is options.maxAge')
  const {
    name = 'sid',
    path = '/',
    domain,
    httpOnly = true,
    secure = 'auto',
    sameSite = 'lax',
    partitioned = false,
    priority,
  } = options as CookieOptions
  checkText(name, `${at}.name`, TOKEN, "a token of at most 256 letters, digits and !#$%&'*+-.^_`|~")
  checkText(path, `${at}.path`, ATTRIBUTE, 'a path of printable characters without a semicolon')
  if (!path.startsWith('/') || path.length > 1024)
    throw invalidValue(`${at}.path`, 'a path that begins with / and has at most 1024 characters', path)
  if (domain !== undefined)
    checkText(domain, `${at}.domain`, /^(?=.{1,253}$)\.?[\w-]+(?:\.[\w-]+)*$/, 'a host name, such as example.com')
  checkFlag(httpOnly, `${at}.httpOnly`)
  checkFlag(partitioned, `${at}.partitioned`)
  checkOneOf(secure, `${at}.secure`, ['auto', true, false])
  checkOneOf(sameSite, `${at}.sameSite`, ['strict', 'lax', 'none', false])
  if (priority !== undefined) checkOneOf(priority, `${at}.priority`, ['low', 'medium', 'high'])
  // Browsers match the prefixes case-insensitively.
  const prefix = /^__(?:host-http|host|http|secure)-/.exec(name.toLowerCase())?.[0]
  const refused = (rule: string): TypeError => invalidMix(`${at}${rule}: browsers refuse such a cookie`)
  const needsSecure = prefix !== undefined || sameSite === 'none' || partitioned
  if (needsSecure && secure === false) {
    throw refused(
      `.secure must not be false with ${prefix !== undefined ? `the name prefix ${prefix}` : partitioned ? 'partitioned' : "sameSite 'none'"}`,
    )
  }
  if (prefix?.startsWith('__host') === true && (domain !== undefined || path !== '/')) {
    throw refused(` must have no domain and the path / with the name prefix ${prefix}`)
  }
  if (prefix?.endsWith('http-') === true && !httpOnly) {
    throw refused(`.httpOnly must be true with the name prefix ${prefix}`)
  }
  let attributes = `; Path=${path}`
  if (domain !== undefined) attributes = `; Domain=${domain}${attributes}`
  if (httpOnly) attributes += '; HttpOnly'
  if (sameSite !== false) attributes += `; SameSite=${capital(sameSite)}`
  if (priority !== undefined) attributes += `; Priority=${capital(priority)}`
  if (partitioned) attributes += '; Partitioned'
  const secureAttributes = `${attributes}; Secure`
  return {
    name,
    prefix: `${name}=`,
    isAuto: secure === 'auto' && !needsSecure,
    attributes: secure === true || needsSecure ? secureAttributes : attributes,
    secureAttributes,
  }
}

/** A Set-Cookie line. `maxAge` in seconds; `undefined` for a cookie that lives while the browser runs, 0 clears it. */
export function formatSetCookie(
  cookie: CookieSettings,
  value: string,
  maxAge: number | undefined,
  isSecure: boolean,
): string {
  const lifetime = maxAge === undefined ? '' : `; Max-Age=${maxAge}`
  return `${cookie.prefix}${value}${lifetime}${cookie.isAuto && isSecure ? cookie.secureAttributes : cookie.attributes}`
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}
