// What a store must hold after its server was killed under load.
import type { ExecutionContext } from 'ava'
import type { SessionRecord, SessionStore } from '../../src/store.ts'
import { keyed, NOW } from './records.ts'

/** A record that outlives every such test. */
export function lasting(key: string, changes: Partial<SessionRecord> = {}): SessionRecord {
  return keyed(key, { payload: '0', expiresAt: NOW + 1_000_000, ...changes })
}

const SESSIONS = 10

/**
 * Increments each of ten sessions again and again until the server fails, and returns the last acknowledged version of each.
 * Calls `enough` when all of them have begun and one was changed often.
 */
async function countUntilFailure(
  store: SessionStore,
  prefix: string,
  enough: () => void,
): Promise<Map<string, number>> {
  const acknowledged = new Map<string, number>()
  const count = async (key: string): Promise<void> => {
    await store.create(lasting(key), NOW)
    for (let version = 1; ; version++) {
      acknowledged.set(key, version)
      if (version >= 30 && acknowledged.size === SESSIONS) enough()
      const next = lasting(key, { version: version + 1, payload: String(version) })
      if ((await store.replace(next, version, NOW)) !== 'done') throw new Error('nobody else writes here')
    }
  }
  await Promise.allSettled(Array.from({ length: SESSIONS }, (_, index) => count(`${prefix}${index}`)))
  return acknowledged
}

/**
 * Restarts the server while ten sessions change, and checks that no acknowledged change is lost, and that each can be
 * changed again.
 *
 * @param read the first call after the restart.
 */
export async function checkRestartUnderLoad(
  t: ExecutionContext,
  store: SessionStore,
  prefix: string,
  restart: () => Promise<unknown>,
  read: (key: string) => Promise<SessionRecord | undefined>,
): Promise<void> {
  let begin = (): void => undefined
  const busy = new Promise<void>((resolve) => (begin = resolve))
  const counting = countUntilFailure(store, prefix, begin)
  await busy

  await restart()
  const acknowledged = await counting

  t.is(acknowledged.size, SESSIONS)
  for (const [key, version] of acknowledged) {
    const held = await read(key)
    // The change that was under way when the server ended may or may not be stored.
    t.true(
      held?.version === version || held?.version === version + 1,
      `${key} has ${String(held?.version)} of ${version}`,
    )
    t.is(held?.payload, String(held === undefined ? 0 : held.version - 1))
    t.is(await store.replace(lasting(key, { version: 9999 }), held?.version ?? 0, NOW), 'done')
  }
}
