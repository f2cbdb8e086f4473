// The session that a browser registers or refreshes: by its cookie alone, for the proof is what it comes to give.
import { parseSessionCookies, type CookieVerifier } from '../cookie/request-cookie.ts'
import { effectiveEnd } from '../record/lifetime.ts'
import { isEnded, readRecord, type Stored } from '../record/record.ts'
import { isFreshStart, isUnderWay } from '../record/tombstone.ts'
import type { Core, RequestInfo } from '../session/core.ts'
import { followRecord } from '../session/successors.ts'
import type { SessionRecord } from '../store.ts'

export interface Found {
  readonly record: SessionRecord
  readonly stored: Stored
  /** The key that was looked for is that of before a new id. */
  readonly isFollowed: boolean
}

/** The first live session that is meant, in the order of the Cookie header; where none is, the first. */
export async function findSession(
  core: Core,
  verifier: CookieVerifier,
  info: RequestInfo,
  isMeant: (found: Found) => boolean,
): Promise<Found | undefined> {
  const header = info.request.headers.cookie
  if (header === undefined) return undefined
  const { values } = parseSessionCookies(header, info.cookie, info.keyring.length)
  let first: Found | undefined
  for (const value of values) {
    const verified = verifier.verify(info.cookie, info.keyring, value)
    const found = verified === undefined ? undefined : await readFound(core, verified.publicId)
    if (found !== undefined && isMeant(found)) return found
    first ??= found
  }
  return first
}

/**
 * The live session of that key. Where it got a new id while this request was under way, its successor: an answer that
 * there is no such session would make the browser forget its key.
 *
 * @throws {SessionError} `ERR_SESSION_STORE`.
 */
export async function readFound(core: Core, key: string): Promise<Found | undefined> {
  const { store, settings, payload } = core
  const now = settings.now()
  const named = await store.read(key, now)
  if (named === undefined || named === 'corrupt') return undefined
  const isReplaced = isEnded(named) && isUnderWay(named, now) && !isFreshStart(named)
  const record = isReplaced ? await followRecord(core, named) : named
  if (record === undefined || isEnded(record)) return undefined
  const stored = readRecord(payload, record)
  if (stored === undefined || effectiveEnd(settings.lifetime, stored.metadata, record) <= now) return undefined
  return { record, stored, isFollowed: isReplaced }
}
