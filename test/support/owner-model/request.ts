// One request in the model, or one call from outside: its session, and what it has done there so far.
import { Wishes } from '../model/wishes.ts'
import type { Life } from './book.ts'
import type { Held } from './rules.ts'
import type { Call, Errand, Step } from './scenario.ts'

/** What a request is doing. */
export type Doing = Step | { readonly do: 'load' | 'commit' | 'nothing' } | { readonly do: 'call'; readonly call: Call }

export class Request extends Wishes {
  readonly browser: number
  readonly isPassive: boolean
  readonly isOutsideChain: boolean
  doing: Doing = { do: 'nothing' }
  hasCookie = false
  /** Its session, and the id of it that this request knows. */
  life: Life | undefined = undefined
  key: string | undefined = undefined
  isResumed = false
  /** How often the session had been written under this id when the request came to know it. */
  from = 0
  /** What its session was when this request loaded it, or stored something there last. */
  held: Held | undefined = undefined
  /** Whether it came with an id that was replaced just before. */
  isLate = false
  /** Whether it was refused because its session has ended. */
  isGone = false
  isDestroyed = false
  /** Whether it gave its session the id. */
  hasNewId = false
  /** Whether its changes are stored under an id that another response carries. */
  isFollower = false
  /** Whether its `destroy` ended a session. */
  hasEnded = false
  /** Whether its session lived under its id when it asked the store last. */
  wasAlive = true
  /** Whether the store confirmed after the handler that the session lives. */
  isConfirmed = false
  /** The key of the record that it made for a new id in this step. */
  made: string | undefined = undefined
  /** How many changes of this step are stored. */
  writes = 0
  /** The keys with conflicts in this step, and those that events reported. */
  readonly clashes = new Set<string>()
  readonly told = new Set<string>()
  /** The sessions that a call from outside has changed, once for each time, and those that it has ended. */
  readonly changed: Life[] = []
  readonly ended: Life[] = []

  constructor(
    at: number,
    { browser, isPassive = false, isOutsideChain = false }: Pick<Errand, 'browser'> & Partial<Errand>,
  ) {
    super(`${browser}.${at}`)
    this.browser = browser
    this.isPassive = isPassive
    this.isOutsideChain = isOutsideChain
  }

  get isOver(): boolean {
    return this.isLate || this.isGone
  }

  /** Whether its response can carry a new id. */
  get canSend(): boolean {
    return !this.isOutsideChain && !this.isFollower
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
