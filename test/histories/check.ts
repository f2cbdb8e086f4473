// Judges a recorded history. It knows nothing of the package: what it reads is history.ts, and these are its rules.
//
// A session is known by its tag, which is in its data from the beginning and is never changed; it may go through several
// public ids. One operation comes before another when it had ended before the other began, by one clock; of operations
// that overlap every order is allowed. An operation is acknowledged (it happened between its begin and its end), refused
// (it never happened) or unknown (it happened once, at any time after its begin, or never). What is read is what a request
// found, what a list or a scan showed, and what an append had made. A list may show a copy whose id no browser has (a
// change of the id that was not acknowledged): it is no reading.
//
//  mixed      A public id never names two sessions, and a session never loses its tag.
//  refused    Nothing that was read shows a change of a refused operation.
//  nowhere    Nothing that was read shows a change that no operation made, or none that had begun.
//  append     An acknowledged append is in the list of everything that is read later; no list holds one twice; of any two
//             lists of a session one is the beginning of the other; a later list is no shorter; appends that come before
//             others stand before them.
//  register   Each key behaves as one register: acknowledged changes have a serial order in which each reading shows the
//             change before it, and which respects the order of time. (Values are unique, so this is decided by the times
//             at which a value is surely there; what has no value, by the changes that may have taken it away.)
//  ended      After an acknowledged end (by a request in it, from elsewhere, by a fresh start) a session is read no more.
//  old id     After an acknowledged change of the id the old one opens nothing.
//  everywhere After an acknowledged end of all sessions of an owner nothing shows a sign-in that had been acknowledged
//             before that end began.
//  owner      What has an owner shows the sign-in of that owner.
//  lost       What was acknowledged as a session is there until something ends it, unless it was given a short life.
//  unlisted   A scan shows each session that lives from before it until after it; so does a list, of an owner's.
//  outlived   A session does not live longer than it was told to, by more than the clocks may be apart.
// Where clocks are apart, or a use is late on its way, a session of a short life has ended for one and lives for another:
// `old id`, `everywhere` and `unlisted` do not judge these.
//  broken     No request is answered by an error that means that the program is wrong, or never by a process that lives.
import { REGISTERS, type History, type Operation, type Seen } from './history.ts'

export type Rule =
  | 'mixed'
  | 'refused'
  | 'nowhere'
  | 'append'
  | 'register'
  | 'ended'
  | 'old id'
  | 'everywhere'
  | 'owner'
  | 'lost'
  | 'unlisted'
  | 'outlived'
  | 'broken'

export interface Violation {
  readonly rule: Rule
  readonly what: string
  /** The operations that show it. */
  readonly by: readonly number[]
}

export interface Verdict {
  readonly operations: number
  readonly acknowledged: number
  readonly refused: number
  readonly unknown: number
  readonly sessions: number
  readonly violations: readonly Violation[]
}

/** When something was surely true for a moment. */
interface Interval {
  readonly begin: number
  readonly end: number
  readonly n: number
}

interface Reading extends Interval {
  readonly seen: Seen
  readonly kind: Operation['kind']
}

/** A change that may have been made; `end` is `Infinity` where it may still come. */
interface Change extends Interval {
  readonly operation: Operation
}

class Session {
  readonly tag: string
  readonly ids = new Set<string>()
  readonly readings: Reading[] = []
  readonly lists: (Interval & { readonly log: readonly number[] })[] = []
  /** Operations that were sent with an id of this session, or begun it. */
  readonly operations: Operation[] = []
  /** It was given a life so short that not all may agree on its end. */
  isBrief = false

  constructor(tag: string) {
    this.tag = tag
  }
}

/** Holds a history against the rules. */
export function check(history: History): Verdict {
  return new Check(history).verdict()
}

function precedes(one: Interval, other: Interval): boolean {
  return one.end < other.begin
}

function asInterval({ begin, end, n, outcome }: Operation): Interval {
  return { begin, end: outcome === 'acknowledged' ? end : Infinity, n }
}

class Check {
  readonly #history: History
  readonly #violations: Violation[] = []
  readonly #byNumber = new Map<number, Operation>()
  readonly #byValue = new Map<string, Operation>()
  readonly #sessions = new Map<string, Session>()
  readonly #tagOf = new Map<string, string>()
  readonly #readings: Reading[] = []
  #known: ReadonlySet<string> = new Set()

  constructor(history: History) {
    this.#history = history
  }

  verdict(): Verdict {
    const { operations } = this.#history
    for (const one of operations) {
      this.#byNumber.set(one.n, one)
      if (one.value !== undefined) this.#byValue.set(one.value, one)
      if (one.status !== undefined && one.status >= 500 && one.status !== 503) {
        this.#violate('broken', `${one.kind} was answered ${one.status} ${one.code ?? ''}`, one)
      }
    }
    this.#gather()
    for (const one of operations) this.#assign(one)
    this.#findBrief()
    this.#checkOwners()
    this.#checkOldIds()
    this.#checkEverywhere()
    this.#checkLost()
    this.#checkListed()
    for (const session of this.#sessions.values()) {
      this.#checkAppends(session)
      for (const key of REGISTERS) this.#checkRegister(session, key)
      this.#checkEnds(session)
      this.#checkLifetime(session)
    }
    const count = (outcome: string): number => operations.filter((one) => one.outcome === outcome).length
    return {
      operations: operations.length,
      acknowledged: count('acknowledged'),
      refused: count('refused'),
      unknown: count('unknown'),
      sessions: this.#sessions.size,
      violations: this.#violations,
    }
  }

  #violate(rule: Rule, what: string, ...by: readonly { readonly n: number }[]): void {
    this.#violations.push({ rule, what, by: by.map(({ n }) => n) })
  }

  // ---- which session is which

  #gather(): void {
    const late: Reading[] = []
    const known = (this.#known = idsOfBrowsers(this.#history))
    for (const one of this.#history.operations) {
      const { begin, end, n, kind, saw, left, found = [], outcome } = one
      const shown = [...(saw == null ? [] : [saw]), ...found.filter(({ id }) => known.has(id))]
      for (const seen of shown) late.push({ begin, end, n, seen, kind })
      // What was left tells whose the id is; the handler may have seen it before the commit, so it is no reading.
      if (outcome === 'acknowledged' && left != null && (saw != null || isStored(one))) this.#name(left, one)
      for (const seen of shown) this.#name(seen, one)
    }
    for (const reading of late) {
      this.#readings.push(reading)
      const tag = reading.seen.data['tag']
      if (typeof tag === 'string') this.#session(tag).readings.push(reading)
      else if (this.#tagOf.has(reading.seen.id)) {
        const named = this.#history.operations.find(({ left, saw, outcome, end }) => {
          const shown = outcome === 'acknowledged' && left?.id === reading.seen.id ? left : saw
          return shown?.id === reading.seen.id && shown.data['tag'] !== undefined && end < reading.begin
        })
        if (named !== undefined) this.#violate('mixed', `${reading.seen.id} has lost its tag`, named, reading)
      }
    }
  }

  #session(tag: string): Session {
    let session = this.#sessions.get(tag)
    if (session === undefined) this.#sessions.set(tag, (session = new Session(tag)))
    return session
  }

  #name({ id, data }: Seen, by: Operation): void {
    const { tag } = data
    if (typeof tag !== 'string') return
    const known = this.#tagOf.get(id)
    if (known !== undefined && known !== tag) {
      this.#violate('mixed', `${id} names the sessions ${known} and ${tag}`, by)
      return
    }
    const maker = this.#byNumber.get(Number(tag.slice(1)))
    if (maker === undefined) this.#violate('nowhere', `nothing made the session ${tag}`, by)
    else if (maker.outcome === 'refused') this.#violate('refused', `the session ${tag} was refused`, maker, by)
    this.#tagOf.set(id, tag)
    this.#session(tag).ids.add(id)
  }

  /** To the session that the operation was about, as far as that is known. */
  #assign(one: Operation): void {
    const { saw, left, sent, outcome, begin, end, n, log } = one
    const sentTag = sent === undefined ? undefined : this.#tagOf.get(sent)
    const tags = new Set<string>()
    for (const tag of [saw?.data['tag'], sentTag]) if (typeof tag === 'string') tags.add(tag)
    const leftTag = left?.data['tag']
    if (outcome === 'acknowledged' && typeof leftTag === 'string' && this.#sessions.has(leftTag)) tags.add(leftTag)
    // What began a session of its own, and nobody knows whether it did.
    if (this.#sessions.has(`t${n}`)) tags.add(`t${n}`)
    for (const tag of tags) this.#session(tag).operations.push(one)
    for (const { seen, ...interval } of readingsOf(one)) {
      if (!this.#known.has(seen.id)) continue
      const { tag, log: list } = seen.data
      if (typeof tag !== 'string') continue
      this.#session(tag).lists.push({ ...interval, log: Array.isArray(list) ? (list as number[]) : [] })
    }
    if (log === undefined || outcome !== 'acknowledged') return
    const tag = this.#tagOfAppend(one)
    if (tag !== undefined) this.#session(tag).lists.push({ begin, end, n, log })
  }

  /** The session whose list an acknowledged append made. */
  #tagOfAppend({ left, sent, kind }: Operation): string | undefined {
    if (kind === 'append') {
      const tag = left?.data['tag']
      return typeof tag === 'string' ? tag : undefined
    }
    return sent === undefined ? undefined : this.#tagOf.get(sent)
  }

  /** A lifetime of its own is handed down where a session follows another one. */
  #findBrief(): void {
    const all = [...this.#sessions.values()]
    for (const session of all) {
      session.isBrief = this.#history.about.isBrief === true || session.operations.some(({ kind }) => kind === 'expire')
    }
    for (let before = -1, now = 0; now !== before; before = now, now = all.filter(({ isBrief }) => isBrief).length) {
      for (const { saw, left } of this.#history.operations) {
        const [from, to] = [saw?.data['tag'], left?.data['tag']]
        if (typeof from !== 'string' || typeof to !== 'string' || this.#sessions.get(from)?.isBrief !== true) continue
        const heir = this.#sessions.get(to)
        if (heir !== undefined) heir.isBrief = true
      }
    }
  }

  /** Whether one may take that session for ended, and another one not. */
  #isVague(tag: unknown): boolean {
    return typeof tag === 'string' && this.#sessions.get(tag)?.isBrief === true
  }

  // ---- appends

  #checkAppends({ tag, lists, operations }: Session): void {
    const sorted = [...lists].sort((one, other) => one.log.length - other.log.length)
    let before: (typeof sorted)[number] | undefined
    for (const list of sorted) {
      if (new Set(list.log).size !== list.log.length) this.#violate('append', `${tag} holds an append twice`, list)
      if (before?.log.some((n, at) => list.log[at] !== n) === true) {
        this.#violate('append', `two lists of ${tag} part: ${before.log.join()} and ${list.log.join()}`, before, list)
      }
      before = list
      for (const n of list.log) {
        const made = this.#byNumber.get(n)
        if (made === undefined) this.#violate('nowhere', `nobody made the append ${n} of ${tag}`, list)
        else if (made.outcome === 'refused') this.#violate('refused', `the append ${n} of ${tag}`, made, list)
        else if (list.end < made.begin) this.#violate('nowhere', `the append ${n} was read before it began`, made, list)
      }
    }
    const acknowledged = operations.filter(
      (one) => one.log !== undefined && one.outcome === 'acknowledged' && this.#tagOfAppend(one) === tag,
    )
    for (const list of lists) {
      for (const made of acknowledged) {
        if (made.end < list.begin && !list.log.includes(made.n)) {
          this.#violate('append', `the append ${made.n} of ${tag} is missing`, made, list)
        }
      }
      for (const other of lists) {
        if (precedes(other, list) && other.log.length > list.log.length) {
          this.#violate('append', `a list of ${tag} has become shorter`, other, list)
        }
      }
    }
    let latest: Operation | undefined
    for (const n of before?.log ?? []) {
      const made = this.#byNumber.get(n)
      if (made === undefined) continue
      if (latest !== undefined && made.outcome === 'acknowledged' && made.end < latest.begin) {
        this.#violate('append', `${made.n} stands behind ${latest.n} in ${tag}`, made, latest)
      }
      if (latest === undefined || made.begin > latest.begin) latest = made
    }
  }

  // ---- one key

  #checkRegister({ tag, readings, operations }: Session, key: string): void {
    /** By value, all that shows when it was there. */
    const present = new Map<string, Interval[]>()
    const absent: Interval[] = []
    const showAt = (value: string, interval: Interval): void => {
      const known = present.get(value)
      if (known === undefined) present.set(value, [interval])
      else known.push(interval)
    }
    for (const reading of readings) {
      const value = reading.seen.data[key]
      if (value === undefined) absent.push(reading)
      else if (typeof value !== 'string') this.#violate('nowhere', `${key} of ${tag} is of another type`, reading)
      else {
        const write = this.#byValue.get(value)
        if (write?.key !== key) this.#violate('nowhere', `nobody set ${key} of ${tag} to ${value}`, reading)
        else if (write.outcome === 'refused') this.#violate('refused', `${key} of ${tag} is ${value}`, write, reading)
        else if (reading.end < write.begin)
          this.#violate('nowhere', `${value} was read before it was set`, write, reading)
        else showAt(value, reading)
      }
    }
    for (const one of operations) {
      if (one.kind !== 'set' || one.key !== key || one.value === undefined || one.outcome === 'refused') continue
      if (one.outcome === 'acknowledged' && one.left?.data['tag'] === tag) showAt(one.value, one)
      // Where nobody knows, a reading shows that it happened, and not when.
      else if (present.has(one.value)) showAt(one.value, asInterval(one))
    }
    const removals = operations.filter((one) => mayRemove(one, key)).map(asRemoval)
    const zones = [...present].map(([value, intervals]) => ({
      value,
      from: intervals.reduce((a, b) => (b.end < a.end ? b : a)),
      to: intervals.reduce((a, b) => (b.begin > a.begin ? b : a)),
    }))
    // A value is there without a break from the end of the first that shows it to the begin of the last.
    const lasting = zones.filter(({ from, to }) => from.end < to.begin).sort((a, b) => a.from.end - b.from.end)
    for (const [at, zone] of lasting.entries()) {
      const { value, from, to } = zone
      const inside = ({ begin, end }: Interval): boolean => from.end < begin && end < to.begin
      for (let next = at + 1; next < lasting.length; next++) {
        const other = lasting[next]
        if (other === undefined || other.from.end >= to.begin) break
        if (from.end < other.to.begin) {
          this.#violate(
            'register',
            `${key} of ${tag} was ${value} and ${other.value} at one time`,
            from,
            to,
            other.from,
            other.to,
          )
        }
      }
      for (const other of zones) {
        if (other === zone || other.from.end < other.to.begin) continue
        if (from.end < other.to.begin && other.from.end < to.begin) {
          this.#violate(
            'register',
            `${key} of ${tag} was ${value} all the while, and ${other.value} in between`,
            from,
            other.from,
            other.to,
            to,
          )
        }
      }
      for (const none of absent) {
        if (inside(none))
          this.#violate('register', `${key} of ${tag} was ${value} all the while, and missing`, from, none, to)
      }
      for (const { isSure, change } of removals) {
        if (isSure && inside(change)) {
          this.#violate('register', `${key} of ${tag} was ${value}, although it was removed`, from, change, to)
        }
      }
    }
    const shown = [...present.values()].flat()
    for (const none of absent) {
      let last: Interval | undefined
      for (const one of shown) if (precedes(one, none) && (last === undefined || one.begin > last.begin)) last = one
      if (last === undefined) continue
      const since = last.begin
      const isRemoved = removals.some(({ change }) => change.begin < none.end && change.end > since)
      if (!isRemoved) this.#violate('register', `${key} of ${tag} is missing, and nothing removed it`, last, none)
    }
  }

  // ---- ends

  #checkEnds({ tag, readings, operations }: Session): void {
    const ends = operations.filter((one) => isEndOf(one, tag))
    if (ends.length === 0) return
    const first = ends.reduce((a, b) => (b.end < a.end ? b : a))
    for (const reading of readings) {
      if (precedes(first, reading))
        this.#violate('ended', `${tag} is read after its end (${first.kind})`, first, reading)
    }
  }

  #checkOldIds(): void {
    const replaced = new Map<string, Operation>()
    for (const one of this.#history.operations) {
      const { outcome, kind, saw, left } = one
      if (outcome !== 'acknowledged' || saw == null || left == null || left.id === saw.id) continue
      if (kind !== 'regenerate' && kind !== 'renew' && kind !== 'sign in') continue
      const known = replaced.get(saw.id)
      if (known === undefined || one.end < known.end) replaced.set(saw.id, one)
    }
    for (const reading of this.#readings) {
      const one = replaced.get(reading.seen.id)
      if (one !== undefined && precedes(one, reading) && !this.#isVague(reading.seen.data['tag'])) {
        this.#violate('old id', `${reading.seen.id} opens a session after it was replaced (${one.kind})`, one, reading)
      }
    }
  }

  #checkEverywhere(): void {
    const ends = this.#history.operations.filter(
      ({ kind, outcome }) => kind === 'end all' && outcome === 'acknowledged',
    )
    for (const reading of this.#readings) {
      const signIn = this.#signInOf(reading.seen)
      if (signIn?.outcome !== 'acknowledged' || this.#isVague(reading.seen.data['tag'])) continue
      for (const one of ends) {
        if (one.owner === reading.seen.owner && precedes(signIn, one) && precedes(one, reading)) {
          this.#violate('everywhere', `${reading.seen.id} is signed in after the end of all`, signIn, one, reading)
        }
      }
    }
  }

  #signInOf({ data }: Seen): Operation | undefined {
    const { login } = data
    return typeof login === 'string' ? this.#byNumber.get(Number(login.slice(1))) : undefined
  }

  #checkOwners(): void {
    for (const reading of this.#readings) {
      const { owner, data, id } = reading.seen
      // Where a sign-in began anew, its marks follow a moment later.
      if (owner === null || data['tag'] === undefined) continue
      const signIn = this.#signInOf(reading.seen)
      if (signIn?.owner !== owner) this.#violate('owner', `${id} has an owner without a sign-in`, reading)
      else if (signIn.outcome === 'refused') this.#violate('refused', `the sign-in of ${id}`, signIn, reading)
    }
  }

  // ---- what must be there

  #checkLost(): void {
    const firstLife = new Map<string, Operation>()
    for (const one of this.#history.operations) {
      const { saw, left, outcome } = one
      const shown = [saw, outcome === 'acknowledged' && isStored(one) ? left : undefined]
      for (const seen of shown) {
        if (seen == null) continue
        const known = firstLife.get(seen.id)
        if (known === undefined || one.end < known.end) firstLife.set(seen.id, one)
      }
    }
    for (const one of this.#history.operations) {
      const { sent, saw, outcome, end } = one
      if (sent === undefined || saw !== null || outcome !== 'acknowledged') continue
      const lived = firstLife.get(sent)
      const tag = this.#tagOf.get(sent)
      if (lived === undefined || tag === undefined || !precedes(lived, one)) continue
      const session = this.#session(tag)
      if (session.isBrief) continue
      const owners = new Set(session.readings.map(({ seen }) => seen.owner))
      for (const other of session.operations) if (other.kind === 'sign in') owners.add(other.owner ?? null)
      const isEnded =
        session.operations.some(
          (other) =>
            other !== one &&
            other.begin < end &&
            ['end', 'end elsewhere', 'renew', 'regenerate', 'sign in'].includes(other.kind),
        ) ||
        this.#history.operations.some(
          ({ kind, owner, begin }) => kind === 'end all' && begin < end && owners.has(owner ?? null),
        )
      if (!isEnded) this.#violate('lost', `${sent} opens nothing, and nothing has ended it`, lived, one)
    }
  }

  #checkListed(): void {
    for (const one of this.#history.operations) {
      if (one.outcome !== 'acknowledged' || one.found === undefined) continue
      const found = new Set(one.found.map(({ data }) => (one.kind === 'scan' ? data['tag'] : data['login'])))
      for (const { tag, readings } of this.#sessions.values()) {
        if (this.#isVague(tag)) continue
        const about = readings.filter(({ seen }) => one.kind === 'scan' || seen.owner === one.owner)
        const before = about.find((reading) => precedes(reading, one))
        if (before === undefined) continue
        const after = about.find(
          (reading) =>
            precedes(one, reading) && (one.kind === 'scan' || before.seen.data['login'] === reading.seen.data['login']),
        )
        if (after === undefined || found.has(one.kind === 'scan' ? tag : before.seen.data['login'])) continue
        this.#violate('unlisted', `${tag} lives, and is in no ${one.kind}`, before, one, after)
      }
    }
  }

  #checkLifetime({ tag, readings, operations }: Session): void {
    const { skew, isRolling } = this.#history.about
    if (isRolling === true) return
    for (const one of operations) {
      if (one.kind !== 'expire' || one.outcome !== 'acknowledged' || one.left?.data['tag'] !== tag) continue
      const restarts = operations.some(
        (other) =>
          other !== one &&
          (other.kind === 'expire' || other.kind === 'sign in') &&
          !(other.end < one.begin && other.outcome !== 'unknown'),
      )
      if (restarts) continue
      const last = one.end + (one.lifetime ?? Infinity) + 2 * skew
      const late = readings.find(({ begin }) => begin > last)
      if (late !== undefined) this.#violate('outlived', `${tag} lives longer than it was told to`, one, late)
    }
  }
}

/**
 * The public ids that some browser came with or was answered with. A list may show others: where a change of the id is
 * not acknowledged, the new id may be stored, and no browser ever knows it.
 */
function idsOfBrowsers({ operations }: History): ReadonlySet<string> {
  return new Set(operations.flatMap(({ saw, left }) => [saw, left].flatMap((seen) => (seen == null ? [] : [seen.id]))))
}

function readingsOf({ begin, end, n, saw, found = [], kind }: Operation): Reading[] {
  return [...(saw == null ? [] : [saw]), ...found].map((seen) => ({ begin, end, n, seen, kind }))
}

/** Whether what the request left is surely stored. */
function isStored({ kind, saw, beganAnew }: Operation): boolean {
  if (kind === 'set' || kind === 'append' || kind === 'sign in' || kind === 'expire') return true
  return beganAnew === true || (saw != null && (kind === 'regenerate' || kind === 'renew'))
}

/** A removal of a key from a session; `isSure` where it happened. */
function asRemoval(one: Operation): { readonly isSure: boolean; readonly change: Change } {
  const isSure = one.outcome === 'acknowledged'
  return { isSure, change: { ...asInterval(one), operation: one } }
}

/** What the request did not see it does not remove. */
function mayRemove({ kind, key, saw, outcome }: Operation, register: string): boolean {
  if (outcome === 'refused' || saw === null) return false
  if (kind !== 'clear' && !(kind === 'delete' && key === register)) return false
  return saw === undefined || saw.data[register] !== undefined
}

/** Whether an operation surely ended that session. */
function isEndOf({ outcome, kind, saw, left, ended, sent, beganAnew }: Operation, tag: string): boolean {
  if (outcome !== 'acknowledged') return false
  if (kind === 'end elsewhere') return ended === true && sent !== undefined
  if (saw?.data['tag'] !== tag || beganAnew === true) return false
  if (kind === 'end' || kind === 'renew') return true
  return kind === 'sign in' && left?.data['tag'] !== undefined && left.data['tag'] !== tag
}
