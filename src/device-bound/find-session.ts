// Finds the session that a browser registers or refreshes, by the session cookie alone: the request brings the proof.
import { SessionError } from '../errors.ts'
import { parseSessionCookies } from '../cookie/request-cookie.ts'
import { isEnded, isFreshStart, type Stored } from '../record/record.ts'
import type { Core, RequestInfo } from '../session/core.ts'
import { readUnexpired } from '../session/newest.ts'
import { followRecord } from '../session/successors.ts'
import type { FoundRecord, SessionRecord } from '../store.ts'

export interface Found {
  readonly record: SessionRecord
  readonly stored: Stored
  /** Whether the key that was looked up is an old one: the session has got a new id since. */
  readonly isFollowed: boolean
}

/**
 * The first live session, in the order of the Cookie header, that `isMeant` accepts; otherwise the first live one.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` if the session that is meant may be one that could not be read.
 */
export async function findSession(
  core: Core,
  info: RequestInfo,
  isMeant: (found: Found) => boolean,
): Promise<Found | undefined> {
  const header = info.request.headers.cookie
  if (header === undefined) return
  const { values } = parseSessionCookies(header, info.cookie, info.keyring.length)
  let first: Found | undefined
  let failure: SessionError | undefined
  for (const value of values) {
    const verified = core.verifier.verify(info, value)
    if (verified === undefined) continue
    const record = await core.store.read(verified.publicId, core.settings.now())
    try {
      const found = await foundIn(core, record)
      if (found !== undefined && isMeant(found)) return found
      first ??= found
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      // A session under an encryption key that is not listed must not hide the one that is meant.
      failure ??= error
    }
  }
  if (failure !== undefined) throw failure
  return first
}

/**
 * The live session of that record, or its successor if it got a new id while this request was under way: a response that
 * there is no such session would make the browser forget its key.
 *
 * @throws {SessionError} `ERR_SESSION_STORE`.
 */
export async function foundIn(core: Core, named: FoundRecord): Promise<Found | undefined> {
  const now = core.settings.now()
  if (typeof named !== 'object') return
  // As long as the tombstone is there, whatever the clock of the process that wrote it: the proof decides, not the id.
  const isReplaced = isEnded(named) && !isFreshStart(named)
  const record = isReplaced ? await followRecord(core, named) : named
  if (record === undefined || isEnded(record)) return
  const stored = readUnexpired(core, record, now)
  return stored && { record, stored, isFollowed: isReplaced }
}
