// A call from outside of requests, and the checks of its result.
import { SessionError, type SessionMiddleware } from '../../../src/index.ts'
import type { Mind } from './mind.ts'
import type { Call } from './scenario.ts'
import type { Data } from './steps.ts'
import type { Stage } from './stage.ts'

/** Makes the call. `key` is the public id of the session that `update` changes. */
export async function callFromOutside(
  stage: Stage,
  mind: Mind,
  sessions: SessionMiddleware<Data>,
  { do: verb, owner, waits }: Call,
  key: string | undefined,
): Promise<void> {
  const { ledger, schedule } = stage
  mind.isOutside = true
  const count = async (data: Data): Promise<void> => {
    if (waits) await schedule.wait('handler')
    data.n = (data.n ?? 0) + 1
  }
  if (verb === 'update') {
    if (key === undefined) return
    mind.key = key
    mind.begin({ do: 'update', waits })
    try {
      await sessions.update(key, count)
      ledger.expect(mind, mind.updated.length === 1, `it resolved and was stored ${mind.updated.length} times`)
    } catch (error) {
      const isGone = error instanceof SessionError && error.code === 'ERR_SESSION_GONE'
      ledger.expect(mind, isGone && !mind.wasAlive, `an update from outside was refused with ${String(error)}`)
      ledger.expect(mind, mind.updated.length === 0, 'it was refused and stored')
    }
    return
  }
  mind.begin({ do: verb, owner })
  try {
    const known = new Set(ledger.keys)
    if (verb === 'updateAll') {
      const lived = ledger.lives(stage.now, owner)
      const done = await sessions.updateAll(owner, count)
      ledger.expectUpdated(mind, owner, lived, known, stage.now)
      const updated = ledger.sessionsUnder(mind.updated)
      // An abandoned copy may count in addition to its session, if the session has got two new ids meanwhile.
      const isCounted = updated <= done && done <= mind.updated.length
      ledger.expect(mind, isCounted, `it told ${done} of ${updated} updates`)
    } else {
      const lived = ledger.lives(stage.now)
      const done = await sessions.destroyEverything()
      for (const one of lived) ledger.expectEnded(mind, one, stage.now)
      ledger.expect(mind, done <= mind.ended.length, `it told ${done} of ${mind.ended.length} ends`)
    }
  } catch (error) {
    ledger.fail(mind, `refused with ${String(error)}`)
  }
}
