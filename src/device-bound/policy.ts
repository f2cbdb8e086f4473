// Checks whether a request of a bound session comes from its device, and makes the registration offer of a sign-in.
import type { Binding } from '../record/record.ts'
import type { BindingCheck, RequestInfo } from '../session/core.ts'
import { isProvenBy } from '../cookie/bound-cookie.ts'
import { newChallenge } from './challenge.ts'

/** How long after a registration a request is served without the second cookie, in milliseconds: it may have been sent before. */
const GRACE = 60_000

/** `options.deviceBound`, checked: how long a proof counts, in milliseconds, and the path of the two routes. */
export interface BindingSettings {
  readonly within: number
  readonly path: string
}

export class DeviceBinding implements BindingCheck {
  readonly #within: number
  readonly #path: string

  constructor({ within, path }: BindingSettings) {
    this.#within = within
    this.#path = path
  }

  isProven(info: RequestInfo, { id, boundAt }: Binding, now: number): boolean {
    // Outside Koa's chain it is unknown whether the request came over HTTPS.
    if (info.ctx?.secure === false) return false
    if (Math.abs(now - boundAt) < GRACE) return true
    return isProvenBy(info.request.headers.cookie, info, id, this.#within, now)
  }

  hasSkippedRefresh({ request }: RequestInfo): boolean {
    return request.headers['secure-session-skipped'] !== undefined
  }

  offer(info: RequestInfo, id: string, now: number): readonly [name: string, value: string] {
    const challenge = newChallenge(info, 'registration', id, now)
    return ['Secure-Session-Registration', `(ES256);path="${this.#path}/register";challenge="${challenge}"`]
  }
}
