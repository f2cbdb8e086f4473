// Stateless challenges: an HMAC under the signing keys over the purpose, the binding, an instant and a nonce. Issuing one stores
// nothing, so a thief who requests thousands cannot invalidate those of the browser.
import { MAX_SKEW } from '../cookie/bound-cookie.ts'
import { newId } from '../cookie/id.ts'
import type { Signing } from '../cookie/request-cookie.ts'

/** A challenge for one purpose is not valid for the other. */
export type Purpose = 'registration' | 'refresh'

/** How long a challenge is valid, in milliseconds. */
export const CHALLENGE_LIFE = 300_000

const NONCE = 16
const CHALLENGE = /^([0-9a-z]{1,11})\.([\w-]{16})\.([\w-]{20,128})$/

/** A challenge made at this instant, for the binding that the browser knows (or will know) under `id`. */
export function newChallenge(signing: Signing, purpose: Purpose, id: string, now: number): string {
  const instant = now.toString(36)
  const nonce = newId().slice(0, NONCE)
  return `${instant}.${nonce}.${signing.keyring.sign(textOf(signing, purpose, id, instant, nonce))}`
}

/** When a challenge was made; `undefined` unless our keys signed it for that purpose and binding, and it is still valid. */
export function challengeInstant(
  signing: Signing,
  purpose: Purpose,
  id: string,
  challenge: string,
  now: number,
): number | undefined {
  const [, instant, nonce, signature] = CHALLENGE.exec(challenge) ?? []
  if (instant === undefined || nonce === undefined || signature === undefined) return
  const madeAt = parseInt(instant, 36)
  if (madeAt - now > MAX_SKEW || now - madeAt >= CHALLENGE_LIFE) return
  const key = signing.keyring.index(textOf(signing, purpose, id, instant, nonce), signature)
  return key === -1 ? undefined : madeAt
}

// A space comes before the first equals sign, as in no text that is signed for a cookie.
function textOf({ cookie }: Signing, purpose: Purpose, id: string, instant: string, nonce: string): string {
  return `device-bound ${purpose} ${cookie.prefix} ${id} ${instant} ${nonce}`
}
