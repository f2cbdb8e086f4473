// `session.update(fn)`: a change that is computed from the newest data, and computed again when another request was first.
import { apply, type Changes } from '../record/merge.ts'
import {
  alone,
  become,
  catchUp,
  check,
  clashing,
  committed,
  current,
  gone,
  insert,
  isNothing,
  overtake,
  Patience,
  renewing,
  seenAt,
  underWay,
} from './commit.ts'
import { Data } from './data.ts'
import { SessionError } from '../errors.ts'
import type { SessionRecord } from '../store.ts'
import { isPromise, type Steps } from './steps.ts'
import type { Draft, Pending, Visit } from './request-session.ts'

/** Runs `fn` over the newest data, with what is pending in it, until what it made of it is stored; see the manager. */
export async function update<Result>(visit: Visit, fn: (data: object) => Result | Promise<Result>): Promise<Result> {
  const patience = new Patience()
  const { updates } = visit.services
  let place: string | undefined
  let isFirst = true
  try {
    for (;;) {
      visit.readable()
      if (visit.hasEnded) throw gone(visit)
      visit.open()
      // One that was overtaken waits for its turn among its kind: all at once, each would overtake the others again.
      // Those of one request do not wait for one another: the function may itself update.
      const key = visit.record?.key
      if (
        place === undefined &&
        key !== undefined &&
        !visit.isUpdating &&
        (!isFirst || updates.isBusy(key)) &&
        (await updates.wait(key))
      ) {
        place = key
        visit.isUpdating = true
        overtake(visit)
      }
      isFirst = false
      const ground = visit.record
      const pending = visit.pending()
      const attempt = new Attempt(visit, pending)
      const run = await attempt.run(fn)
      // The function ran outside the turn: it may itself save or update.
      const isDone = await alone(visit, conclude(visit, ground, pending, run, patience))
      if (isDone) {
        if ('error' in run) throw run.error
        return run.result
      }
    }
  } finally {
    if (place !== undefined) {
      visit.isUpdating = false
      updates.leave(place, false)
    }
  }
}

function* conclude(
  visit: Visit,
  ground: SessionRecord | undefined,
  pending: Pending,
  run: Run<unknown>,
  patience: Patience,
): Steps<boolean> {
  visit.readable()
  if (visit.record !== ground) return false
  const hasNothing = 'error' in run || (run.changes.length === 0 && isNothing(pending))
  if (!hasNothing) return yield* store(visit, pending, run.changes, patience)
  if (ground !== undefined && !(yield* isNewest(visit))) return false
  if (!('error' in run)) visit.detach(pending)
  return true
}

type Run<Result> = { readonly result: Result; readonly changes: Changes } | { readonly error: unknown }

/** One run of the function: its data, and the end of its right to write there. */
class Attempt {
  readonly #data: Data
  #isOver = false

  constructor(visit: Visit, pending: Pending) {
    this.#data = new Data(visit.stored.data, visit.services.payload.codec, {
      readable: () => undefined,
      writable: () => {
        if (this.#isOver)
          throw new SessionError(
            'ERR_SESSION_CLOSED',
            'the data of session.update() was written after its function had returned: await everything inside the function',
          )
      },
    })
    this.#data.adopt(pending.changes)
  }

  async run<Result>(fn: (data: object) => Result | Promise<Result>): Promise<Run<Result>> {
    try {
      const result = await fn(this.#data.view)
      return { result, changes: this.#data.changes() }
    } catch (error) {
      return { error }
    } finally {
      this.#isOver = true
      this.#data.seal()
    }
  }
}

/** Nothing is written, so no compare-and-set has told whether the function saw the newest data. */
function* isNewest(visit: Visit): Steps<boolean> {
  const { version } = current(visit)
  if (!(yield* catchUp(visit))) throw gone(visit)
  return current(visit).version === version
}

function* store(visit: Visit, pending: Pending, changes: Changes, patience: Patience): Steps<boolean> {
  const { settings, store } = visit.services
  const now = settings.now()
  const clashes = clashing(visit, pending.changes)
  const before = visit.draft(pending, now)
  const draft: Draft = { ...before, data: apply(visit.stored.data, changes) }
  const { record } = visit
  if (record === undefined) {
    if (isWorthKeeping(visit, draft)) yield* insert(visit, draft, now)
    visit.detach(pending)
    return true
  }
  if (settings.schema !== undefined) yield check(visit, draft)
  const written = visit.recordOf(draft, record.key, record.version + 1, seenAt(visit, record, pending, now))
  const asked = store.replace(written, record.version, now)
  const outcome = isPromise(asked) ? yield* underWay(visit.services.writes, record.key, asked) : asked
  if (outcome === 'done') {
    become(visit, { id: visit.id, record: written, draft })
    visit.services.payload.remember(written, draft)
    visit.detach(pending)
    renewing(visit, pending, written.lastSeenAt !== record.lastSeenAt)
    committed(visit, written, clashes)
    return true
  }
  if (outcome === 'gone') throw gone(visit)
  yield* patience.pause()
  if (!(yield* catchUp(visit))) throw gone(visit)
  return false
}

function isWorthKeeping(visit: Visit, { data, flash, notes }: Draft): boolean {
  return visit.isKept || flash.length > 0 || notes.maxAge > 0 || Object.keys(data).length > 0
}
