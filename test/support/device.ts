// A browser that binds its sessions to its own key (W3C Device Bound Session Credentials): it accepts the registration that a
// sign-in offers, and refreshes its second cookie. Each step is a method, so that a test can leave it out.
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import type { Answer, Browser } from './app.ts'

export const HTTPS: Readonly<Record<string, string>> = { 'x-forwarded-proto': 'https' }
export const REGISTER = '/.session/device/register'
export const REFRESH = '/.session/device/refresh'

/** Changes to a proof. The rest is as a browser sends it. */
export interface Forgery {
  readonly key?: KeyObject
  /** Fields of the JWS header; `undefined` removes one. */
  readonly header?: Readonly<Record<string, unknown>>
  readonly payload?: Readonly<Record<string, unknown>>
}

export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export function newKey(namedCurve = 'P-256'): KeyPair {
  return generateKeyPairSync('ec', { namedCurve })
}

export function jwkOf({ publicKey }: KeyPair): Record<string, unknown> {
  return { ...publicKey.export({ format: 'jwk' }) }
}

/** A JWS as Chromium makes it. */
export function jws(key: KeyObject, header: object, payload: object): string {
  const signed = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

export function registration(pair: KeyPair, challenge: string, { key, header, payload }: Forgery = {}): string {
  return jws(
    key ?? pair.privateKey,
    { alg: 'ES256', typ: 'dbsc+jwt', jwk: jwkOf(pair), ...header },
    { jti: challenge, ...payload },
  )
}

export function refreshProof(pair: KeyPair, challenge: string, { key, header, payload }: Forgery = {}): string {
  return jws(key ?? pair.privateKey, { alg: 'ES256', typ: 'dbsc+jwt', ...header }, { jti: challenge, ...payload })
}

/** The challenge and the path of a registration offer; `undefined` if the response has none. */
export function offerIn({ headers }: Pick<Answer, 'headers'>): { path: string; challenge: string } | undefined {
  const [, path, challenge] =
    /^\(ES256\);path="([^"]+)";challenge="([^"]+)"$/.exec(headers.get('secure-session-registration') ?? '') ?? []
  return path === undefined || challenge === undefined ? undefined : { path, challenge }
}

/** The challenge of a 403 response, and the binding that it names. */
export function challengeIn({ headers }: Pick<Answer, 'headers'>): { challenge: string; id: string } | undefined {
  const [, challenge, id] = /^"([^"]+)";id="([^"]+)"$/.exec(headers.get('secure-session-challenge') ?? '') ?? []
  return challenge === undefined || id === undefined ? undefined : { challenge, id }
}

/** A Cookie header without the cookie of that name. */
export function withoutCookie(cookie: string, name: string): string {
  return cookie
    .split('; ')
    .filter((pair) => !pair.startsWith(`${name}=`))
    .join('; ')
}

export interface Instructions {
  readonly session_identifier: string
  readonly refresh_url: string
  readonly scope: unknown
  readonly credentials: readonly { type: string; name: string; attributes: string }[]
}

/** A browser whose key never leaves it. */
export class Device {
  readonly browser: Browser
  readonly pair: KeyPair = newKey()
  /** The identifier under which the browser knows its session. */
  id: string | undefined = undefined
  /** The number of proofs that it signed. */
  signatures = 0

  constructor(browser: Browser) {
    this.browser = browser
  }

  /** A request over HTTPS with the cookies of the jar. */
  get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
    return this.browser.get(path, { method, headers: { ...HTTPS, ...headers } })
  }

  post(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.get(path, headers, 'POST')
  }

  /** Accepts the registration that a response offers. */
  async register(answer: Pick<Answer, 'headers'>, forgery: Forgery = {}): Promise<Answer> {
    const offer = offerIn(answer)
    if (offer === undefined) throw new Error('the response offers no registration')
    this.signatures++
    const proof = registration(this.pair, offer.challenge, forgery)
    const registered = await this.post(offer.path, { 'secure-session-response': proof })
    if (registered.status === 200) this.id = (JSON.parse(registered.body) as Instructions).session_identifier
    return registered
  }

  /** Asks for a challenge. */
  ask(): Promise<Answer> {
    return this.post(REFRESH, { 'sec-secure-session-id': this.id ?? 'none' })
  }

  prove(challenge: string, forgery: Forgery = {}): Promise<Answer> {
    this.signatures++
    return this.post(REFRESH, {
      'sec-secure-session-id': this.id ?? 'none',
      'secure-session-response': refreshProof(this.pair, challenge, forgery),
    })
  }

  /** Asks for a challenge and proves it. */
  async refresh(): Promise<Answer> {
    const asked = await this.ask()
    const found = challengeIn(asked)
    return found === undefined ? asked : this.prove(found.challenge)
  }
}
