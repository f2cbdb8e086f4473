// A session as it is shown outside a request.
import { SessionError } from '../errors.ts'
import type { DeviceFacts } from '../record/payload.ts'
import { effectiveEnd } from '../record/lifetime.ts'
import { isEnded, NOTHING_STORED, readMetadata, readRecord } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import type { SessionData } from './manager.ts'
import { applySchema } from './newest.ts'

/** A session as `list`, `get` and `scan` show it. Instants are epoch milliseconds. */
export interface SessionInfo<Data extends object = SessionData> {
  /** Names the session for `get`, `update`, `destroy` and `except`. It is not the cookie's id, so it is safe to show. */
  readonly publicId: string
  /** The account that the session belongs to; `undefined` for an anonymous one. */
  readonly owner: string | undefined
  /** When it began. */
  readonly createdAt: number
  /** The last recorded use. It may lag by a tenth of the idle timeout, at most an hour. */
  readonly lastSeenAt: number
  /** When it ends if it is not used again. */
  readonly expiresAt: number
  /** When its owner last signed in; `undefined` without one. */
  readonly authenticatedAt: number | undefined
  /** Where its owner signed in: the facts of `options.device`, read-only; `undefined` without them. */
  readonly device: DeviceFacts | undefined
  /** Whether it is bound to a key that its browser holds. */
  readonly isBound: boolean
  /**
   * A copy of its data; `undefined` if it cannot be read, does not satisfy the schema, or is encrypted with a key that is not
   * configured.
   */
  readonly data: Data | undefined
}

/** `undefined` for a record that stands for no live session. */
export async function sessionInfoOf(core: Core, record: SessionRecord): Promise<SessionInfo | undefined> {
  const { settings, payload, events } = core
  const metadata = readMetadata(record)
  // Checked first: an unreadable session must not live longer than a readable one.
  const expiresAt = metadata ? effectiveEnd(settings.lifetime, metadata, record) : record.expiresAt
  if (isEnded(record) || expiresAt <= settings.now()) return
  const { key: publicId, owner, createdAt, lastSeenAt } = record
  const { authenticatedAt, binding } = metadata ?? NOTHING_STORED.metadata
  const shown = { publicId, owner, createdAt, lastSeenAt, expiresAt, authenticatedAt, isBound: binding !== undefined }
  const isLocked = payload.isLocked(record)
  const stored = isLocked ? NOTHING_STORED : readRecord(payload, record)
  if (stored === undefined || metadata === undefined) {
    // Listed all the same, so that it can be ended.
    events.tell('reject', record, { reason: 'corrupt' })
    return { ...shown, device: undefined, data: undefined }
  }
  const info = { ...shown, device: stored.device }
  if (isLocked) return { ...info, data: undefined }
  const { stored: checked, dataError } = await applySchema(core, record, stored)
  let data: unknown
  try {
    if (dataError === undefined) data = payload.codec.lend(checked.data, [])
  } catch (error) {
    // Data of before the codec, with a key that this one refuses.
    if (!(error instanceof SessionError)) throw error
  }
  // The codec gives plain data for plain data.
  return { ...info, data: data as Record<string, unknown> | undefined }
}
