// `session.update(fn)`: a change that is computed from the newest data, and computed again when another request was first.
import { apply, type Changes } from './changes.ts'
import { alone, become, catchUp, check, committed, current, gone, insert, isNothing, issue, patiently } from './commit.ts'
import { Data } from './data.ts'
import { SessionError } from './errors.ts'
import type { Draft, Pending, Visit } from './visit.ts'

/** Runs `fn` over the newest data, with what is pending in it, until what it made of it is stored; see the manager. */
export async function update<Result>(visit: Visit, fn: (data: object) => Result | Promise<Result>): Promise<Result> {
  const pause = patiently()
  for (;;) {
    visit.readable()
    if (visit.hasEnded) throw gone(visit)
    visit.open()
    const ground = visit.record
    const pending = visit.pending()
    const attempt = new Attempt(visit, pending)
    const run = await attempt.run(fn)
    // The function ran outside the turn: it may itself save or update.
    const isDone = await alone(visit, async () => {
      visit.readable()
      if (visit.record !== ground) return false
      const isRead = 'error' in run || (run.changes.size === 0 && isNothing(pending))
      if (isRead) return ground === undefined || isNewest(visit, pending)
      return store(visit, pending, run.changes)
    })
    if (isDone) {
      if ('error' in run) throw run.error
      return run.result
    }
    await pause()
  }
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
        if (this.#isOver) throw new SessionError('ERR_SESSION_CLOSED', 'the data of session.update() was written after its function had returned: await everything inside the function')
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
      this.#data.freeze(true)
    }
  }
}

/** Nothing is written, so no compare-and-set has told whether the function saw the newest data. */
async function isNewest(visit: Visit, pending: Pending): Promise<boolean> {
  const { version } = current(visit)
  if (!(await catchUp(visit, pending.changes))) throw gone(visit)
  return current(visit).version === version
}

async function store(visit: Visit, pending: Pending, changes: Changes): Promise<boolean> {
  const { settings, store } = visit.services
  const now = settings.now()
  const before = visit.draft(pending, now)
  const draft: Draft = { ...before, data: apply(visit.stored.data, changes) }
  const { record } = visit
  if (record === undefined) {
    if (isWorthKeeping(visit, draft)) await insert(visit, draft, now)
    visit.detach(pending)
    return true
  }
  await check(visit, draft)
  const written = visit.recordOf(draft, record.key, record.version + 1, Math.max(now, record.lastSeenAt))
  const outcome = await store.replace(written, record.version, now)
  if (outcome === 'done') {
    become(visit, { id: visit.id, record: written, draft })
    visit.detach(pending)
    if (pending.maxAge !== undefined || settings.limits.rolling) issue(visit)
    committed(visit, written)
    return true
  }
  if (outcome === 'gone' || !(await catchUp(visit, pending.changes))) throw gone(visit)
  return false
}

function isWorthKeeping(visit: Visit, { data, flash, notes }: Draft): boolean {
  return visit.isKept || flash.length > 0 || notes.maxAge > 0 || Object.keys(data).length > 0
}
