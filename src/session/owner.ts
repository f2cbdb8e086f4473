// The owner of a session, as `signIn` names it or `options.owner` reads it from data, and how many sessions an owner may have.
import { newId } from '../cookie/id.ts'
import { canBeBound } from '../cookie/bound-cookie.ts'
import { headersSentError } from '../errors.ts'
import type { PendingChanges, Snapshot } from '../record/changes.ts'
import { applyChanges } from '../record/merge.ts'
import { newMetadata, type Draft } from '../record/record.ts'
import type { MaybePromise } from '../store.ts'
import type { Core } from './core.ts'
import { assertSameSite } from './cross-site.ts'
import { refuse } from './newest.ts'
import { enforceLimit } from './owned.ts'
import type { RequestSession } from './request-session.ts'

/**
 * The draft of a session after its owner signs in: authenticated now, with both lifetimes restarted, and not bound to a device
 * yet. Of its metadata, only its own lifetime, counted from now, and the predecessor are kept.
 *
 * @throws {SessionError} `ERR_SESSION_CROSS_SITE` when the request comes from another site; `ERR_SESSION_HEADERS_SENT` when its
 * client has left; `ERR_SESSION_UNSUPPORTED` when `maxPerOwner` needs an index by owner that the store lacks; what
 * `options.device` throws.
 */
export function signedIn(session: RequestSession, draft: Draft, owner: string, now: number): Draft {
  const { core, info } = session
  const { ctx, cookie } = info
  const { device, maxPerOwner } = core.settings
  // Checked before the sign-in: when the limit is enforced, the sign-in would already stand, without a limit.
  if (maxPerOwner !== undefined) core.store.assertIndex()
  assertSameSite(core, info)
  // Nobody would learn the id, and the session would take one of the owner's places from another one.
  if (session.cookie.isDeserted) throw headersSentError('an owner signed in')
  const { maxAge, predecessor } = draft.metadata
  const metadata = {
    ...newMetadata(now),
    authenticatedAt: now,
    maxAge,
    predecessor,
    maxAgeSince: maxAge > 0 ? now : 0,
    // Over plain HTTP no browser would keep a key.
    registration: core.binding !== undefined && ctx?.secure === true && canBeBound(cookie) ? newId() : undefined,
  }
  return { ...draft, owner, device: ctx && device?.(ctx), metadata }
}

/**
 * With `options.owner`, the owner that data names replaces the draft's own. Over a different previous owner, only what this
 * request assigned is kept.
 *
 * @throws {TypeError} when the option gives anything but a name or `undefined`.
 */
export function applyOwner(session: RequestSession, draft: Draft, pending: PendingChanges, now: number): Draft {
  const owner = ownerInData(session.core, draft)
  if (owner === draft.owner) return draft
  if (owner === undefined) return signedOut(draft)
  if (draft.owner === undefined) return signedIn(session, draft, owner, now)
  const metadata = { ...draft.metadata, maxAge: pending.maxAge ?? 0 }
  const own: Draft = { ...draft, data: applyChanges({}, pending.changes), flash: pending.put, metadata, createdAt: now }
  return signedIn(session, own, owner, now)
}

/**
 * The owner that the data of a draft names; without `options.owner`, the draft's own.
 *
 * @throws {TypeError} when the option gives anything but a name or `undefined`.
 */
export function ownerInData(core: Core, draft: Draft): string | undefined {
  return core.settings.owner === undefined ? draft.owner : named(core, draft.data)
}

function named({ settings, payload }: Core, data: Snapshot): string | undefined {
  // The codec copies an object, but cannot know the type of its values; the option takes any.
  return settings.owner?.(payload.codec.lend(data, []) as Record<string, unknown>)
}

/**
 * Refuses changes, in conflict with those of another request, that bring an owner back: the data that this request read named
 * that owner already, and the other one has signed the owner out since. A slow request must not undo that.
 *
 * @throws {SessionError} as {@link refuse}.
 */
export function assertNotBroughtBack(session: RequestSession, { changes }: PendingChanges, { owner }: Draft): void {
  const { core, record, stored } = session
  if (owner === undefined || owner === record?.owner || named(core, stored.data) === owner) return
  const asRead = changes.map(({ key, base }) => ({ key, base, value: base }))
  if (named(core, applyChanges(stored.data, asRead)) === owner) refuse(session)
}

/** The draft of a session without its owner and without anything that the sign-in left: device, binding, `authenticatedAt`. */
export function signedOut(draft: Draft): Draft {
  const { startedAt, maxAge, maxAgeSince, predecessor } = draft.metadata
  const metadata = { ...newMetadata(startedAt), maxAge, maxAgeSince, predecessor }
  return { ...draft, owner: undefined, device: undefined, metadata }
}

/** Whether one owner has taken the place of another. */
export function isSomebodyElse(previous: string | undefined, owner: string | undefined): boolean {
  return owner !== undefined && previous !== undefined && previous !== owner
}

/** Whether a stored session needs a new id: an owner appeared or changed, and this request gave it no new id yet. */
export function needsNewId(session: RequestSession, { owner }: Draft): boolean {
  // Only a new id ends the signals of the former owner's requests, in whichever process.
  if (isSomebodyElse(session.record?.owner, owner)) return true
  return owner !== undefined && owner !== session.record?.owner && !session.hasNewId
}

/** An owner has signed in to a stored session: emits the event, and enforces the limit of that owner. */
export function finishSignIn(session: RequestSession): MaybePromise<void> {
  const { record, core } = session
  if (record?.owner === undefined) return
  session.cookie.signIns++
  // This request may have given the session its new id before, as koa-passport does.
  core.events.tell('sign-in', record, { previousPublicId: session.metadata.predecessor })
  const { maxPerOwner } = core.settings
  if (maxPerOwner !== undefined) return enforceLimit(core, record.owner, maxPerOwner, record.key)
}
