// One request in the model: its session, and what it has done there so far.
import type { Call, Keep, Step } from './scenario.ts'
import { Task } from './task.ts'
import { NOTHING, type Contents } from './wishes.ts'

export class Mind extends Task<Step | { readonly do: Exclude<Call['do'], 'update'>; readonly owner: string }> {
  /** Whether this is a call from outside of requests: it has no session of its own and no response. */
  isOutside = false
  /** Whether its cookie was signed with an older key. */
  hasOldKey = false
  /** Whether it has a new id for its browser. */
  hasNews = false
  /** Whether it stored a lifetime, which the cookie must show. */
  hasLifetime = false
  /** The latest end of its session, by what it read or stored last. Another request may shorten that before the response is sent. */
  storedEnd = -Infinity
  /** The keys of the sessions that it updated from outside, and of those that it ended. */
  readonly updated: string[] = []
  readonly ended: string[] = []
  /** Whether its handler has ended. */
  isHandled = false
  /** The session that it came with, and that had ended when it signed in: what took its place is the browser's, too. */
  forgotten: number | undefined = undefined
  /** The owner of its session. */
  owner: string | undefined = undefined

  override get keep(): boolean | readonly string[] {
    const { doing, owner } = this
    const isAnothers = doing.do === 'signIn' && owner !== undefined && owner !== doing.owner
    return isAnothers && doing.keep === true ? false : super.keep
  }
}

/** The contents that are kept under a new id. */
export function kept(
  { data, flash }: Contents,
  owner: string | undefined,
  keep: Keep,
  signIn: string | undefined,
): Contents & { readonly owner: string | undefined; readonly isFresh: boolean } {
  const isSomebodyElse = signIn !== undefined && owner !== undefined && owner !== signIn
  if (keep === false || (keep === true && isSomebodyElse)) return { ...NOTHING, owner: signIn, isFresh: true }
  const keys: readonly string[] = keep === true ? Object.keys(data) : keep
  const some = Object.fromEntries(Object.entries(data).filter(([key]) => keys.includes(key)))
  // Messages were for the previous owner.
  return { data: some, flash: isSomebodyElse ? [] : flash, owner: signIn ?? owner, isFresh: false }
}
