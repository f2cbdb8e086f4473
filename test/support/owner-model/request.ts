// One request in the model, or one call from outside: its session, and what it has done there so far.
import { Task } from '../model/task.ts'
import type { Life } from './book.ts'
import type { Held } from './rules.ts'
import type { Call, Errand, Step } from './scenario.ts'

export class Request extends Task<Step | { readonly do: 'call'; readonly call: Call }> {
  readonly isPassive: boolean
  readonly isOutsideChain: boolean
  /** Its session; `key` is the id of it that this request knows. */
  life: Life | undefined = undefined
  /** How often the session had been written under this id when the request came to know it. */
  from = 0
  /** What its session was when this request loaded it, or stored something there last. */
  held: Held | undefined = undefined
  /** Whether it gave its session the id. */
  hasNewId = false
  /** Whether its changes are stored under an id that another response carries. */
  isFollower = false
  /** The sessions that a call from outside has changed, once for each time, and those that it has ended. */
  readonly changed: Life[] = []
  readonly ended: Life[] = []

  constructor(
    at: number,
    { browser, isPassive = false, isOutsideChain = false }: Pick<Errand, 'browser'> & Partial<Errand>,
  ) {
    super(browser, at)
    this.isPassive = isPassive
    this.isOutsideChain = isOutsideChain
  }

  /** Whether its response can carry a new id. */
  get canSend(): boolean {
    return !this.isOutsideChain && !this.isFollower
  }
}
