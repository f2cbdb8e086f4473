// One request, or one call from outside, in either model: what it knows of its session, and what it has done there so far.
import { Wishes } from './wishes.ts'

/** What a request is doing: one of its deeds, or what every request does. */
export type Doing<Deed> = Deed | { readonly do: 'load' | 'commit' | 'nothing'; readonly keep?: undefined }

/** What a request may do: `keep` is what stays under a new id. */
interface Kept {
  readonly do: string
  readonly keep?: boolean | readonly string[] | undefined
}

export class Task<Deed extends Kept> extends Wishes {
  readonly browser: number
  hasCookie = false
  /** The record of its session, as far as it knows. */
  key: string | undefined = undefined
  isResumed = false
  /** Whether it came with an id that was replaced just before. */
  isLate = false
  /** Whether it was refused because its session has ended. */
  isGone = false
  isDestroyed = false
  /** Whether its `destroy` ended a session. */
  hasEnded = false
  /** Whether the store confirmed after the handler that the session lives. */
  isConfirmed = false
  /** Whether the session lived when the store was asked last. */
  wasAlive = true
  doing: Doing<Deed> = { do: 'nothing' }
  /** The key of the record that it created for a new id in this step. */
  made: string | undefined = undefined
  /** The number of changes and first records that were stored in this step. */
  writes = 0
  /** The keys with conflicts in this step, and those that events reported. */
  readonly clashes = new Set<string>()
  readonly told = new Set<string>()

  constructor(browser: number, at: number) {
    super(`${browser}.${at}`)
    this.browser = browser
  }

  get keep(): boolean | readonly string[] {
    return this.doing.keep ?? true
  }

  get isOver(): boolean {
    return this.isLate || this.isGone
  }

  /** Begins a step. */
  begin(doing: Doing<Deed>): void {
    this.look(undefined)
    this.doing = doing
    this.made = undefined
    this.writes = 0
    this.clashes.clear()
    this.told.clear()
  }
}
