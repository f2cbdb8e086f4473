// The limit of an owner's sessions: as another one signs in, those used longest ago end.
import { SessionError } from '../errors.ts'
import { eachOf, PORTION, portions } from '../portions.ts'
import { effectiveEnd } from '../record/lifetime.ts'
import { decodeMetadata } from '../record/metadata.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import { endSession } from './destroy.ts'

// Sign-ins that run at the same time see one another's sessions: what one round leaves, the next one finds.
const ROUNDS = 2
// A limit that is new may end many: a sign-in waits for so many, the others end behind its back.
const MAX_AWAITED = 200

/**
 * Ends the sessions of an owner that are over the limit, but never `own`, which has just been signed in to.
 *
 * The sign-in stands whatever becomes of it: a failure of the store is an event.
 */
export async function enforceLimit(core: Core, owner: string, limit: number, own: string): Promise<void> {
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const { store, settings } = core
      let count = 0
      const now = settings.now()
      for await (const { keys } of portions((cursor) => store.listKeys(owner, now, PORTION, cursor)))
        count += keys.length
      if (count <= limit) return
      const excess = await findExcess(core, owner, limit, own)
      if (excess.length === 0) return
      const end = async (record: SessionRecord): Promise<boolean> => endSession(core, record, 'limit')
      await eachOf(excess.slice(0, MAX_AWAITED), end)
      if (excess.length > MAX_AWAITED) {
        void eachOf(excess.slice(MAX_AWAITED), end).catch(() => undefined)
        return
      }
    }
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
  }
}

async function findExcess(core: Core, owner: string, limit: number, own: string): Promise<SessionRecord[]> {
  const { store, settings } = core
  const now = settings.now()
  const live = new Map<string, { record: SessionRecord; predecessor: string | undefined }>()
  for await (const { records } of portions((cursor) => store.list(owner, now, PORTION, cursor))) {
    for (const record of records) {
      const metadata = metadataOf(record)
      if (metadata !== undefined && effectiveEnd(settings.lifetime, metadata, record) <= now) continue
      // Only the instants count from here on: a payload may be large.
      live.set(record.key, { record: { ...record, payload: 'left out' }, predecessor: metadata?.predecessor })
    }
  }
  // A session between two ids counts once.
  for (const { predecessor } of [...live.values()]) if (predecessor !== undefined) live.delete(predecessor)
  const byUse = [...live.values()].map(({ record }) => record).sort(isUsedBefore)
  return byUse.slice(0, Math.max(0, byUse.length - limit)).filter(({ key }) => key !== own)
}

function isUsedBefore(one: SessionRecord, other: SessionRecord): number {
  return one.lastSeenAt - other.lastSeenAt || (one.key < other.key ? -1 : 1)
}

function metadataOf(record: SessionRecord): ReturnType<typeof decodeMetadata> | undefined {
  try {
    return decodeMetadata(record)
  } catch (error) {
    if (error instanceof CorruptRecord) return undefined
    throw error
  }
}
