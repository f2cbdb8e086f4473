// Every session that was ever stored, under all its ids, and what each write to the store must mean. Each call of the store is one
// atomic step, so the order of the calls is the order of events.
import { isDeepStrictEqual } from 'node:util'
import type { Replaced, SessionRecord } from '../../../src/store.ts'
import { contentsOf, type AskedTouch } from '../model/entry.ts'
import type { Lifetime } from '../model/scenario.ts'
import type { Witness } from '../model/told-store.ts'
import type { Request } from './request.ts'
import { bringsBack, outcome, outcomeOutside, type Held, type Outcome } from './rules.ts'
import type { By, Call, Owner } from './scenario.ts'

/** How long a request with a replaced id counts as under way. */
const UNDER_WAY = 10_000
/** So much time may pass between two calls of one step. */
const MOMENTS = 4000
const HOUR = 3_600_000
/** A touch raises no version: a change may take one back that another process has made so shortly before. */
const STALENESS = 1000

/** A session, under whatever id. */
export interface Life {
  held: Held
  /** The key of its record. */
  head: string
  isOver: boolean
  /** The turn in which it got the owner that it has. */
  ownerSince: number
}

/** A record. */
interface Sheet {
  record: SessionRecord
  /** `'copy'`: the session has not moved here yet. `'replaced'`: it has moved to another id. */
  state: 'copy' | 'head' | 'replaced' | 'ended'
  /** Absent for a copy. */
  life: Life | undefined
  /** What the session was under this id, write by write. */
  readonly history: Held[]
  /** The touches that were requested. A change of the touched version takes the touch into account, even if that fails. */
  readonly touches: AskedTouch[]
  /** The instants of before each touch of this version, and when that came. */
  untouched: (Pick<SessionRecord, 'lastSeenAt' | 'expiresAt'> & { readonly until: number })[]
  hasLostUse: boolean
  /** The updates from outside that reached it as a copy. */
  readonly outside: { readonly request: Request; readonly call: Call }[]
  /** Where it was replaced: by what, and when. */
  successor: string | undefined
  replacedAt: number
}

export class Book implements Witness<Request> {
  readonly by: By
  readonly lifetime: Lifetime
  readonly throwsOnConflict: boolean
  /** The first fault. */
  fault: string | undefined = undefined
  /** Counts the calls. */
  turn = 0
  readonly lives: Life[] = []
  readonly #sheets = new Map<string, Sheet>()

  constructor(by: By, lifetime: Lifetime, throwsOnConflict: boolean) {
    this.by = by
    this.lifetime = lifetime
    this.throwsOnConflict = throwsOnConflict
  }

  expect(request: Request | undefined, holds: boolean, what: string): void {
    if (!holds) this.fail(request, what)
  }

  fail(request: Request | undefined, what: string): void {
    this.fault ??= request === undefined ? what : `request ${request.name}, ${JSON.stringify(request.doing)}: ${what}`
  }

  knows(key: string): boolean {
    return this.#sheets.has(key)
  }

  // ---- what lives

  isLive(life: Life, now: number): boolean {
    return !life.isOver && (this.#sheets.get(life.head)?.record.expiresAt ?? 0) > now
  }

  /** The session that lives under this id. */
  lifeAt(key: string | undefined, now: number): Life | undefined {
    const life = this.lifeOf(key)
    return life !== undefined && life.head === key && this.isLive(life, now) ? life : undefined
  }

  /** The session that ever had this id. */
  lifeOf(key: string | undefined): Life | undefined {
    return key === undefined ? undefined : this.#sheets.get(key)?.life
  }

  /** Whether a public id leads to its session, or to what took its place: a replaced one does so for a minute. */
  leads(key: string, now: number): boolean {
    return (this.#sheets.get(key)?.record.expiresAt ?? 0) > now + MOMENTS
  }

  /** Whether the last use of a session is noted. */
  isUseNoted(life: Life, now: number): boolean {
    const sheet = this.#sheets.get(life.head)
    const due = Math.min((life.held.own?.maxAge ?? this.lifetime.idle) / 10, HOUR)
    return sheet === undefined || sheet.hasLostUse || now - sheet.record.lastSeenAt < due + MOMENTS
  }

  /** The live sessions that an owner has had since this turn. */
  ownedSince(owner: Owner, turn: number, now: number): Life[] {
    return this.lives.filter((life) => this.isLive(life, now) && life.held.owner === owner && life.ownerSince <= turn)
  }

  absoluteEnd({ startedAt, own }: Held): number {
    const { absolute, cap, options } = this.lifetime
    if (own === undefined) return startedAt + absolute
    return Math.min(options.rolling === true ? Infinity : own.since + own.maxAge, startedAt + cap)
  }

  // ---- whether a refusal has a reason

  /** Whether a change may be refused as gone. */
  mayBeGone(request: Request, now: number): boolean {
    const { key } = request
    if (request.isOver) return true
    if (key === undefined) return false
    if (this.lifeAt(key, now) === undefined) return !this.#mustFollow(request, now)
    return this.#met(request, now).some(
      ([before, after]) => bringsBack(this.by, request, before, after) || (request.isFollower && after.signsIn),
    )
  }

  /** Whether a change may be refused because its session would need a new id, which no response can carry. */
  mayLackCookie(request: Request, now: number): boolean {
    const { doing, key, canSend } = request
    if (canSend) return false
    return key === undefined || doing.do === 'regenerate' || this.#met(request, now).some(([, after]) => after.signsIn)
  }

  /** Whether a change may be refused as a conflict: with a state of its session that it met. */
  mayConflict(request: Request): boolean {
    const { life } = request
    const states = [...(this.#sheets.get(request.key ?? '')?.history ?? []), ...(life === undefined ? [] : [life.held])]
    return this.throwsOnConflict && states.some(({ contents }) => request.conflicts(contents).length > 0)
  }

  /** Each state of its session under its id since the request came to know it, and what its step makes of that. */
  #met(request: Request, now: number): (readonly [Held, Outcome])[] {
    const states = this.#sheets.get(request.key ?? '')?.history.slice(request.from) ?? []
    return states.map((before) => [before, outcome(this.by, request, before, now)] as const)
  }

  /**
   * Whether the changes of a request belong into the successor of its session: a parallel request set the same owner, and so made
   * the new id, and that owner has been there ever since.
   */
  #mustFollow(request: Request, now: number): boolean {
    const { life, key, doing, isFollower } = request
    const sheet = this.#sheets.get(key ?? '')
    if (life === undefined || sheet === undefined || isFollower || !isCommit(doing.do)) return false
    const { owner } = life.held
    if (!this.isLive(life, now) || owner === undefined || sheet.state !== 'replaced') return false
    if (!this.leads(sheet.record.key, now)) return false
    if (life.head !== sheet.successor || life.ownerSince !== sheet.replacedAt) return false
    return this.#met(request, now).every(
      ([before, after]) =>
        before.owner !== owner && after.owner === owner && !bringsBack(this.by, request, before, after),
    )
  }

  // ---- the calls

  read(request: Request | undefined, key: string, now: number): void {
    if (request === undefined) return
    const sheet = this.#sheets.get(key)
    const life = this.lifeAt(key, now)
    if (request.doing.do === 'load') {
      if (life !== undefined && sheet !== undefined) {
        Object.assign(request, { life, key, held: life.held, isResumed: true, from: sheet.history.length - 1 })
        request.seen = request.known = life.held.contents
      } else if (sheet?.state === 'replaced') {
        const { lastSeenAt, expiresAt } = sheet.record
        request.isLate = expiresAt > now && now - lastSeenAt < UNDER_WAY
      }
    } else if (request.life !== undefined && sheet?.life === request.life && request.doing.do !== 'call') {
      request.look(life?.held.contents)
      request.isConfirmed = life !== undefined
    }
    this.#look(request, now)
  }

  create(request: Request | undefined, record: SessionRecord, now: number, answer: boolean): void {
    this.turn++
    this.expect(request, answer && !this.knows(record.key), 'a key was used twice')
    if (request === undefined || request.doing.do === 'call') {
      this.fail(request, 'a session was stored for nobody')
      return
    }
    const { doing, life } = request
    this.expect(request, isCommit(doing.do) || doing.do === 'regenerate', 'a session was stored')
    this.expect(request, !request.isOver, 'a session was stored for a request whose session has ended')
    this.expect(request, request.canSend, 'a session was stored whose id no response carries')
    const sheet: Sheet = {
      record,
      state: 'copy',
      life: undefined,
      history: [],
      touches: [],
      untouched: [],
      hasLostUse: false,
      outside: [],
      successor: undefined,
      replacedAt: 0,
    }
    this.#sheets.set(record.key, sheet)
    if (life !== undefined) {
      this.expect(request, request.made === undefined, 'two new ids were made')
      request.made = record.key
      return
    }
    const after = outcome(this.by, request, undefined, now)
    this.#expectStored(request, record, after)
    const begun = { held: after, head: record.key, isOver: false, ownerSince: this.turn }
    this.lives.push(begun)
    this.#arrive(request, begun, sheet, after, now)
  }

  replace(request: Request | undefined, record: SessionRecord, version: number, now: number, answer: Replaced): void {
    this.turn++
    const sheet = this.#sheets.get(record.key)
    if (request === undefined || sheet === undefined) {
      this.fail(request, 'nobody knows what was written to')
      return
    }
    if (answer === 'done') {
      this.expect(request, sheet.state === 'head' || sheet.state === 'copy', 'what had ended was written again')
      const isEnd = record.payload.length === 0
      if (isEnd && record.meta === undefined) this.#ended(request, sheet)
      else if (isEnd) this.#moved(request, sheet, record, now)
      else if (request.doing.do === 'call') this.#changedOutside(request, request.doing.call, sheet, record, now)
      else this.#changed(request, sheet, record, now)
      sheet.record = record
      sheet.untouched = []
      return
    }
    // A refused change shows the version that it started from, which another request of this process may have stored.
    if (record.key === request.key) request.known = sheet.history[version - 1]?.contents ?? request.known
    this.#look(request, now)
  }

  touching(key: string, touch: AskedTouch): void {
    this.#sheets.get(key)?.touches.push(touch)
  }

  touch(
    request: Request | undefined,
    key: string,
    _version: number,
    lastSeenAt: number,
    expiresAt: number,
    now: number,
    answer: boolean,
  ): void {
    const sheet = this.#sheets.get(key)
    if (request === undefined || sheet === undefined) {
      this.fail(request, 'nobody knows what was touched')
      return
    }
    const { doing } = request
    this.expect(request, doing.do === 'commit' || doing.do === 'nothing', 'a session was touched')
    this.expect(request, key === request.key && !request.isPassive, 'it was no use of this session')
    if (!answer) return
    if (lastSeenAt >= sheet.record.lastSeenAt) {
      sheet.untouched.push({ ...sheet.record, until: now })
      sheet.record = { ...sheet.record, lastSeenAt, expiresAt }
    }
    if (sheet.life !== undefined) this.#expectEnd(request, sheet.record, sheet.life.held, now)
    request.isConfirmed = true
    this.#look(request, now)
  }

  delete(request: Request | undefined, key: string): void {
    this.turn++
    const sheet = this.#sheets.get(key)
    if (sheet === undefined) return
    this.expect(request, key === request?.made && sheet.life === undefined, 'a session was deleted')
    if (request !== undefined) request.made = undefined
    sheet.state = 'ended'
    sheet.record = { ...sheet.record, expiresAt: -Infinity }
  }

  // ---- the writes

  /** A request stored something under the id that the session has. */
  #changed(request: Request, sheet: Sheet, record: SessionRecord, now: number): void {
    const { life } = sheet
    if (life === undefined || life !== request.life) {
      this.fail(request, 'another session was written to')
      return
    }
    const before = life.held
    const after = outcome(this.by, request, before, now)
    this.#expectCommit(request, before, after)
    this.expect(request, isCommit(request.doing.do), 'data was stored')
    const follows = record.key !== request.key
    if (follows) {
      const wanted = this.#met(request, now)
      this.expect(
        request,
        wanted.some(([known, made]) => made.owner === before.owner && known.owner !== before.owner),
        'it changed a session that got its id from another request, and did not set its owner',
      )
      request.isFollower = true
      request.isConfirmed = true
    }
    this.expect(
      request,
      !after.signsIn || (request.hasNewId && !request.isFollower),
      'an owner appeared without a new id',
    )
    this.#expectStored(request, record, after)
    if (request.isPassive && !after.isNewStart)
      this.expect(request, this.#keepsEnd(sheet, record, now), 'a passive change moved the end')
    else this.#expectEnd(request, record, after, now, true)
    this.#arrive(request, life, sheet, after, now)
  }

  #changedOutside(request: Request, call: Call, sheet: Sheet, record: SessionRecord, now: number): void {
    this.expect(request, call.do === 'update' || call.do === 'updateAll', 'data was changed')
    this.expect(request, this.#keepsEnd(sheet, record, now), 'a change from outside moved the end')
    const { life } = sheet
    if (life === undefined) {
      sheet.outside.push({ request, call })
      return
    }
    const { held } = life
    const after = outcomeOutside(this.by, held, call.names)
    this.#expectMeant(request, call, life)
    this.expect(request, after.owner === undefined || after.owner === held.owner, 'an owner appeared from outside')
    this.#expectStored(request, record, after)
    request.changed.push(life)
    this.#become(life, sheet, after)
  }

  /** A session got a new id. */
  #moved(request: Request, sheet: Sheet, tombstone: SessionRecord, now: number): void {
    const { life } = sheet
    const made = this.#sheets.get(request.made ?? '')
    if (life === undefined || life !== request.life || made === undefined || tombstone.key !== request.key) {
      this.fail(request, 'another session got a new id')
      return
    }
    const before = life.held
    const after = outcome(this.by, request, before, now)
    this.#expectCommit(request, before, after)
    const isSomebodyElse = before.owner !== undefined && before.owner !== after.owner
    const isDue = request.doing.do === 'regenerate' || (after.signsIn && (!request.hasNewId || isSomebodyElse))
    this.expect(request, isDue && !request.isFollower, 'a new id was made without a reason')
    sheet.state = 'replaced'
    sheet.successor = made.record.key
    sheet.replacedAt = this.turn
    life.head = made.record.key
    life.isOver = made.state === 'ended'
    let held: Held = after
    if (!life.isOver) {
      for (const { request: other, call } of made.outside) {
        held = outcomeOutside(this.by, held, call.names)
        other.changed.push(life)
      }
      this.#expectStored(request, made.record, held)
      this.#expectEnd(request, made.record, after, now, true)
    }
    this.#arrive(request, life, made, held, now, life.isOver ? 'ended' : 'head')
  }

  #ended(request: Request, sheet: Sheet): void {
    const { life } = sheet
    const { doing } = request
    sheet.state = 'ended'
    if (doing.do === 'call') {
      const { call } = doing
      this.expect(request, call.do === 'destroy' || call.do === 'destroyAll', 'a session was ended')
      if (life !== undefined) this.#expectMeant(request, call, life)
      else this.expect(request, sheet.record.owner === call.owner, 'a session of another owner was ended')
    } else {
      this.expect(request, doing.do === 'destroy' && life === request.life, 'a session was ended')
      request.hasEnded = true
    }
    if (life === undefined) return
    life.isOver = true
    request.ended.push(life)
  }

  /** A call from outside changes or ends a session that it means. */
  #expectMeant(request: Request, call: Call, life: Life): void {
    const isOne = call.do === 'update' || call.do === 'destroy'
    this.expect(request, !isOne || life === request.life, 'a call from outside reached another session')
    const isTheirs = life.held.owner === call.owner
    this.expect(request, isTheirs || (isOne && !call.asksOwner), 'a call from outside reached another owner')
  }

  /**
   * Whether a record keeps the instants of the one before it, or those of a touch of that one. It may take a touch of another
   * process back that came within a second before.
   */
  #keepsEnd(sheet: Sheet, record: SessionRecord, now: number): boolean {
    const isSame = (one: Pick<SessionRecord, 'lastSeenAt' | 'expiresAt'>): boolean =>
      one.lastSeenAt === record.lastSeenAt && one.expiresAt === record.expiresAt
    const { touches, untouched } = sheet
    if (isSame(sheet.record) || touches.some((one) => one.version === record.version - 1 && isSame(one))) return true
    sheet.hasLostUse = untouched.some((one) => now - one.until <= STALENESS && isSame(one))
    return sheet.hasLostUse
  }

  // ---- what follows a write

  #arrive(
    request: Request,
    life: Life,
    sheet: Sheet,
    after: Held,
    now: number,
    state: 'head' | 'ended' = 'head',
  ): void {
    const { key } = sheet.record
    const isNewId = request.key !== key && !request.isFollower
    const { owner } = request.life === undefined ? { owner: undefined } : life.held
    this.#become(life, sheet, after)
    sheet.life = life
    sheet.state = state
    if (key !== request.key) request.from = 0
    request.life = life
    request.key = key
    request.held = after
    request.hasNewId ||= isNewId
    request.writes++
    request.isConfirmed = true
    const { doing } = request
    const isSomebodyElse = owner !== undefined && after.owner !== undefined && owner !== after.owner
    if (doing.do === 'update' || doing.do === 'regenerate' || isSomebodyElse) request.restart(after.contents)
    else request.settle(after.contents)
    // A call from outside may have ended a copy before the session moved there: the request does not know.
    request.wasAlive = true
  }

  #become(life: Life, sheet: Sheet, after: Held): void {
    if (after.owner !== life.held.owner) life.ownerSince = this.turn
    life.held = after
    sheet.history.push(after)
  }

  #look(request: Request, now: number): void {
    const { key } = request
    request.wasAlive = key === undefined || this.lifeAt(key, now) !== undefined
  }

  // ---- expectations

  #expectCommit(request: Request, before: Held, after: Outcome): void {
    this.expect(request, !request.isOver, 'a request whose session has ended stored something')
    this.expect(request, request.writes === 0, 'it was stored twice')
    this.expect(request, !bringsBack(this.by, request, before, after), 'an owner who had signed out was brought back')
    const keys = request.conflicts(before.contents)
    if (this.throwsOnConflict)
      this.expect(request, keys.length === 0, `a conflict in ${keys.join(', ')} was not refused`)
    else for (const key of keys) request.clashes.add(key)
  }

  #expectStored(request: Request, record: SessionRecord, { contents, owner }: Held): void {
    const stored = contentsOf(record)
    const isSame = isDeepStrictEqual(stored.data, contents.data) && isDeepStrictEqual(stored.flash, contents.flash)
    this.expect(request, isSame, `stored ${JSON.stringify(stored)} instead of ${JSON.stringify(contents)}`)
    this.expect(request, record.owner === owner, `the owner is ${record.owner} instead of ${owner}`)
  }

  /** Expects that a record ends neither too late nor, where its session has just been used, too early. */
  #expectEnd(request: Request, { expiresAt }: SessionRecord, held: Held, now: number, isUsed = false): void {
    const idle = held.own?.maxAge ?? this.lifetime.idle
    const latest = Math.min(now + idle, this.absoluteEnd(held))
    this.expect(request, expiresAt <= latest + MOMENTS, `ends ${expiresAt - latest} ms too late`)
    const slack = this.lifetime.options.rolling === true ? Math.min(idle / 10, HOUR) : 0
    this.expect(
      request,
      !isUsed || expiresAt >= latest - slack - MOMENTS,
      `ends ${latest - slack - expiresAt} ms too early`,
    )
  }
}

function isCommit(step: string): boolean {
  return step === 'commit' || step === 'save' || step === 'update'
}
