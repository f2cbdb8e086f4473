// Checks whether a request of a bound session comes from its device, and makes the registration offer of a sign-in.
import type { BindingCheck } from '../session/core.ts'
import { isProvenBy } from '../cookie/bound-cookie.ts'
import { newChallenge } from './challenge.ts'

/** How long after a registration a request is served without the second cookie, in milliseconds: it may have been sent before. */
const GRACE = 60_000

/** `options.deviceBound`, checked: how long a proof counts, in milliseconds, and the path of the two routes. */
export interface BindingSettings {
  readonly within: number
  readonly path: string
}

export function bindingCheck({ within, path }: BindingSettings): BindingCheck {
  return {
    isProven(info, { id, boundAt }, now) {
      // Outside Koa's chain it is unknown whether the request came over HTTPS. Some proxies say wss of a WebSocket.
      return (
        (info.ctx?.secure !== false || info.ctx.protocol === 'wss') &&
        (Math.abs(now - boundAt) < GRACE || isProvenBy(info.request.headers.cookie, info, id, within, now))
      )
    },
    hasSkippedRefresh: ({ request }) => request.headers['secure-session-skipped'] !== undefined,
    offer(info, id, now) {
      const challenge = newChallenge(info, 'registration', id, now)
      return ['Secure-Session-Registration', `(ES256);path="${path}/register";challenge="${challenge}"`]
    },
  }
}
