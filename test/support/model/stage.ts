// What the requests and the calls of a scenario share.
import type { Ledger } from './ledger.ts'
import type { Mind } from './mind.ts'
import type { Traffic } from './told-store.ts'

export interface Stage extends Traffic<Mind> {
  readonly ledger: Ledger
  readonly refusesConflicts: boolean
  readonly now: number
}
