// Whether one of our keys signed what a cookie says.
import type { CookieSettings } from './cookie.ts'
import { publicIdOf } from './id.ts'
import type { Keyring } from './keyring.ts'

/** An id that one of our keys signed. */
export interface VerifiedId {
  readonly id: string
  readonly publicId: string
  /** An older key signed it: a cookie that the newest one signs is due. */
  readonly needsResign: boolean
}

/** Verifies the cookies of one middleware. */
export class CookieVerifier {
  /** What a value of the right shape says, if its signature is good. */
  verify({ prefix }: Pick<CookieSettings, 'prefix'>, keyring: Keyring, value: string): VerifiedId | undefined {
    const id = value.slice(0, value.length - keyring.length - 1)
    const key = keyring.index(prefix + id, value.slice(id.length + 1))
    return key === -1 ? undefined : { id, publicId: publicIdOf(id), needsResign: key > 0 }
  }
}
