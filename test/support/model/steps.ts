// The steps of a handler, and the expected result of each.
import { isDeepStrictEqual } from 'node:util'
import { SessionError, type SessionManager } from '../../../src/index.ts'
import type { Mind } from './mind.ts'
import type { Errand, Step } from './scenario.ts'
import type { Stage } from './stage.ts'
import { NOTHING } from './wishes.ts'

export interface Data {
  a?: string
  b?: string
  list?: string[]
  n?: number
}

/** Runs the steps of a request until one is refused. */
export async function play(
  stage: Stage,
  mind: Mind,
  session: SessionManager<Data>,
  { steps, catches }: Errand,
): Promise<void> {
  const { ledger } = stage
  mind.begin({ do: 'nothing' })
  ledger.expect(
    mind,
    session.origin === (mind.isResumed ? 'resumed' : mind.hasCookie ? 'expired' : 'new'),
    `the origin is ${session.origin}`,
  )
  for (const step of steps) {
    mind.begin(step)
    try {
      await take(stage, mind, session, step)
      ledger.expectTold(mind)
      if (mind.isDestroyed && step.do !== 'destroy' && step.do !== 'wait')
        ledger.fail(mind, 'a destroyed session was used')
    } catch (error) {
      refused(stage, mind, error)
      if (!catches) throw error
    }
  }
}

/** Checks that a refusal has a reason. */
function refused({ ledger, refusesConflicts, now }: Stage, mind: Mind, error: unknown): void {
  const { doing } = mind
  const code = error instanceof SessionError ? error.code : String(error)
  if (code === 'ERR_SESSION_DESTROYED') {
    ledger.expect(mind, mind.isDestroyed, 'refused as destroyed')
  } else if (code === 'ERR_SESSION_GONE') {
    ledger.expect(mind, doing.do !== 'signIn' && (mind.isOver || !mind.wasAlive), 'refused as gone')
    mind.isGone = true
    if (doing.do === 'reload') mind.restart(mind.seen)
  } else if (code === 'ERR_SESSION_CONFLICT') {
    ledger.expect(mind, refusesConflicts && mind.conflicts(mind.known).length > 0, 'refused as a conflict')
  } else {
    ledger.fail(mind, `refused with ${code}`)
  }
  // The changes of a refused step are not tried again.
  if (['save', 'update', 'fail', 'regenerate', 'signIn'].includes(doing.do)) mind.drop()
  if (mind.made !== undefined) ledger.expectEnded(mind, mind.made, now)
}

/** Thrown by the function of an update. */
class OnPurpose extends Error {}

async function take(stage: Stage, mind: Mind, session: SessionManager<Data>, step: Step): Promise<void> {
  const { ledger, schedule } = stage
  if (['read', 'set', 'delete', 'push', 'clear', 'assign'].includes(step.do)) mind.hasLooked = true
  switch (step.do) {
    case 'read': {
      const value = session.data[step.key]
      const expected = mind.valueOf(step.key)
      ledger.expect(
        mind,
        isDeepStrictEqual(value, expected),
        `${step.key} is ${JSON.stringify(value)} instead of ${JSON.stringify(expected)}`,
      )
      break
    }
    case 'set': {
      const value = mind.newValue()
      session.data[step.key] = value
      mind.set(step.key, value)
      break
    }
    case 'delete':
      Reflect.deleteProperty(session.data, step.key)
      mind.set(step.key, undefined)
      break
    case 'push': {
      const value = mind.newValue()
      ;(session.data.list ??= []).push(value)
      mind.push(value)
      break
    }
    case 'clear':
      session.clear()
      mind.replaceAll({})
      break
    case 'assign': {
      const a = mind.newValue()
      session.data = { a }
      mind.replaceAll({ a })
      break
    }
    case 'id':
      // Reading the id makes the commit store a new session.
      if (session.id !== '' && mind.key === undefined && !mind.isOver) mind.isKept = true
      break
    case 'wait':
      await schedule.wait('handler')
      break
    case 'put': {
      const value = mind.newValue()
      session.flash(step.key, value)
      mind.put(step.key, value)
      break
    }
    case 'take': {
      const messages = session.flash(step.key)
      const expected = mind.take(step.key)
      ledger.expect(
        mind,
        isDeepStrictEqual(messages, expected),
        `flash gave ${JSON.stringify(messages)} instead of ${JSON.stringify(expected)}`,
      )
      break
    }
    case 'save':
      // Even an empty session is stored.
      await session.save()
      ledger.expect(mind, !mind.hasPending && mind.key !== undefined, 'it resolved without being stored')
      break
    case 'update': {
      await session.update(async (data) => {
        if (step.waits) await schedule.wait('handler')
        data.n = (data.n ?? 0) + 1
      })
      ledger.expect(mind, mind.writes === 1, 'it resolved without being stored')
      break
    }
    case 'fail':
      await fails(stage, mind, session)
      break
    case 'reload':
      await session.reload()
      mind.restart(mind.read ?? (mind.key === undefined ? NOTHING : mind.seen))
      break
    case 'regenerate':
      await session.regenerate({ keep: step.keep })
      ledger.expect(mind, mind.writes === 1, 'it resolved without being stored')
      break
    case 'signIn':
      await session.signIn(step.owner, { keep: step.keep })
      ledger.expect(mind, mind.writes === 1, 'it resolved without being stored')
      break
    case 'maxAge':
      session.maxAge = `${step.minutes}m`
      mind.maxAge = step.minutes * 60_000
      break
    case 'destroy':
      await session.destroy()
      mind.isDestroyed = true
      if (mind.key !== undefined) ledger.expectEnded(mind, mind.key, stage.now)
      break
  }
}

async function fails({ ledger }: Stage, mind: Mind, session: SessionManager<Data>): Promise<void> {
  try {
    await session.update((data) => {
      data.n = (data.n ?? 0) + 1
      data.a = mind.newValue()
      mind.dropped.push(data.a)
      throw new OnPurpose()
    })
    ledger.fail(mind, 'the error of its function was swallowed')
  } catch (error) {
    if (!(error instanceof OnPurpose)) throw error
  }
}
