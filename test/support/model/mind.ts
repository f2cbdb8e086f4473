// One request in the model: its session, and what it has done there so far.
import type { Call, Keep, Step } from './scenario.ts'
import { NOTHING, Wishes, type Contents } from './wishes.ts'

/** What a request is doing. */
export type Doing =
  | Step
  | { readonly do: Exclude<Call['do'], 'update'>; readonly owner: string }
  | { readonly do: 'load' | 'commit' | 'nothing' }

export class Mind extends Wishes {
  readonly browser: number
  hasCookie = false
  /** Whether this is a call from outside of requests: it has no session of its own and no response. */
  isOutside = false
  /** The record of its session. */
  key: string | undefined = undefined
  isResumed = false
  /** Whether it came with an id that was replaced just before. */
  isLate = false
  /** Whether it was refused because its session has ended. */
  isGone = false
  isDestroyed = false
  /** Whether its cookie was signed with an older key. */
  hasOldKey = false
  /** Whether it has a new id for its browser. */
  hasNews = false
  /** Whether its `destroy` ended a session. */
  hasEnded = false
  /** Whether the store confirmed after the handler that the session lives. */
  isConfirmed = false
  /** Whether the session lived when the store was asked last. */
  wasAlive = true
  doing: Doing = { do: 'nothing' }
  /** The key of the record that it created for a new id in this step. */
  made: string | undefined = undefined
  /** The number of changes and first records that were stored in this step. */
  writes = 0
  /** Whether it stored a lifetime, which the cookie must show. */
  hasLifetime = false
  /** The latest end of its session, by what it read or stored last. Another request may shorten that before the response is sent. */
  storedEnd = -Infinity
  /** The keys of the sessions that it updated from outside, and of those that it ended. */
  readonly updated: string[] = []
  readonly ended: string[] = []
  /** The keys with conflicts in this step, and those that events reported. */
  readonly clashes = new Set<string>()
  readonly told = new Set<string>()

  constructor(browser: number, at: number) {
    super(`${browser}.${at}`)
    this.browser = browser
  }

  get isOver(): boolean {
    return this.isLate || this.isGone
  }

  /** Begins a step. */
  begin(doing: Doing): void {
    this.look(undefined)
    this.doing = doing
    this.made = undefined
    this.writes = 0
    this.clashes.clear()
    this.told.clear()
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
