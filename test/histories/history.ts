// What is written down of a run, one line of JSON for each operation, and read by check.ts. No word of the package in here.
import { createWriteStream, readFileSync } from 'node:fs'

/** A session as a request, a list or a scan shows it. */
export interface Seen {
  /** The public id. */
  readonly id: string
  readonly owner: string | null
  readonly data: Readonly<Record<string, unknown>>
}

export type Kind =
  | 'read'
  | 'set'
  | 'delete'
  | 'append'
  | 'clear'
  | 'regenerate'
  | 'renew'
  | 'sign in'
  | 'end'
  | 'expire'
  | 'end elsewhere'
  | 'end all'
  | 'append outside'
  | 'scan'
  | 'list'

/** What is known of an operation once it is over: it happened, it did not, or nobody knows. */
export type Outcome = 'acknowledged' | 'refused' | 'unknown'

/** One operation of one client. Instants are milliseconds of one clock, that of the process that writes the history. */
export interface Operation {
  /** Names the operation. */
  readonly n: number
  readonly kind: Kind
  readonly client: string
  /** Which process of the app was asked. */
  readonly process: number
  readonly begin: number
  readonly end: number
  readonly outcome: Outcome
  readonly status?: number | undefined
  readonly code?: string | undefined
  /** The public id that belongs to the cookie that was sent, or that an operation from outside names. */
  readonly sent?: string | undefined
  /** The live session that the request found; `null` for none, left out where the answer never came. */
  readonly saw?: Seen | null | undefined
  /** The session as the request left it: its public id, owner and data after the commit; `null` for none. */
  readonly left?: Seen | null | undefined
  /** Of `set` and `delete`. */
  readonly key?: string | undefined
  /** Of `set`: no other operation writes it. */
  readonly value?: string | undefined
  /** Of `sign in`, `list` and `end all`. */
  readonly owner?: string | undefined
  /** Of `expire`: how long the session may live from then on, in milliseconds. */
  readonly lifetime?: number | undefined
  /** Of an append: the list that it made. */
  readonly log?: readonly number[] | undefined
  /** Of `scan` and `list`. */
  readonly found?: readonly Seen[] | undefined
  /** Of `end elsewhere`: whether a live session was ended. */
  readonly ended?: boolean | undefined
  /** Of `sign in`: the session that came had ended meanwhile, and a new one began. */
  readonly beganAnew?: boolean | undefined
}

export interface About {
  readonly store: string
  readonly seed: number
  /** How far the clocks of two processes may be apart, in milliseconds. */
  readonly skew: number
  /** Use moves the end of a session's own lifetime. */
  readonly isRolling?: boolean
  /** All sessions live so shortly that they may end while they are judged. */
  readonly isBrief?: boolean
}

export interface History {
  readonly about: About
  readonly operations: readonly Operation[]
}

/** The keys that `set`, `delete` and `clear` are about. */
export const REGISTERS: readonly string[] = ['a', 'b', 'c']

/** Writes a history to a file as it happens. */
export function writeHistory(
  path: string,
  about: About,
): { record: (one: Operation) => void; end: () => Promise<void> } {
  const file = createWriteStream(path)
  file.write(`${JSON.stringify(about)}\n`)
  return {
    record: (one) => void file.write(`${JSON.stringify(one)}\n`),
    end: () => new Promise((resolve) => file.end(() => resolve())),
  }
}

/** Reads what `writeHistory` wrote; a last line that was cut off is left out. */
export function readHistory(path: string): History {
  const [about = '', ...lines] = readFileSync(path, 'utf8').split('\n')
  // The shape is what writeHistory wrote.
  return {
    about: JSON.parse(about) as About,
    operations: lines.slice(0, -1).map((line) => JSON.parse(line) as Operation),
  }
}
