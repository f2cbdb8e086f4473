import type { Secrets } from '../cookie/cookie.ts'

/** How payloads are encrypted. */
export interface EncryptionSettings {
  readonly keys: Secrets
  readonly encrypt: boolean
  readonly acceptPlain: boolean
  readonly onUnknownKey: 'fail' | 'end'
}
