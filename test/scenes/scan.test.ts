// scan() shows each session that lives from its beginning to its end, and from memory and SQL once, whatever becomes of the sessions
// while its caller works.
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, type Duration } from '../../src/index.ts'
import type { RecordPage, SessionStore } from '../../src/store.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { KEYS } from '../support/app.ts'
import { MINUTE, Site, type Visitor } from '../support/scene.ts'
import { libsql } from '../support/sqlite.ts'

/** Gives about one record at a time. */
class NarrowMemory extends MemoryStore {
  override scan(now: number, _limit: number, cursor: string | undefined): RecordPage {
    return super.scan(now, 1, cursor)
  }
}

class NarrowSqlite extends SqliteStore {
  width = 1
  override scan(now: number, _limit: number, cursor: string | undefined): Promise<RecordPage> {
    return super.scan(now, this.width, cursor)
  }
}

const wide: Readonly<Record<string, () => SessionStore>> = {
  memory: () => new MemoryStore(),
  SQL: () => new SqliteStore(libsql.open(':memory:')),
}
const narrow: typeof wide = {
  memory: () => new NarrowMemory(),
  SQL: () => new NarrowSqlite(libsql.open(':memory:')),
}

const numbers = (seen: readonly unknown[]): unknown[] => seen.toSorted((one, other) => Number(one) - Number(other))

interface Clock {
  now: number
}

async function opened(t: ExecutionContext, store: SessionStore, clock: Clock, idleTimeout: Duration): Promise<Site> {
  const now = (): number => clock.now
  const site = await Site.open({ keys: [...KEYS], store, now, idleTimeout, sweepInterval: false, logger: {} })
  t.teardown(() => site.running.close())
  return site
}

/** A site over the store, and visitors whose sessions are numbered in `data.a`. */
async function visited(
  t: ExecutionContext,
  store: SessionStore,
  count: number,
  idleTimeout: Duration = '10m',
): Promise<{ site: Site; clock: Clock; visitors: Visitor[] }> {
  const clock = { now: 1_800_000_000_000 }
  const site = await opened(t, store, clock, idleTimeout)
  const visitors = await Promise.all(Array.from({ length: count }, () => site.visitor()))
  for (const [at, visitor] of visitors.entries()) await visitor.does(({ data }) => (data.a = at))
  return { site, clock, visitors }
}

/** The numbers that a scan shows whose caller works on the first session for twelve minutes, while all users go on using theirs. */
async function seenSlowly(site: Site, clock: Clock, meanwhile: () => Promise<void>): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const { data } of site.middleware.scan()) {
    seen.push(data?.a)
    if (seen.length > 1) continue
    for (let minutes = 0; minutes < 12; minutes += 4) {
      clock.now += 4 * MINUTE
      await meanwhile()
    }
  }
  return numbers(seen)
}

for (const [name, open] of Object.entries(wide))
  for (const renews of [false, true])
    test.serial(
      `scan shows a session that ${renews ? 'gets a new id' : 'is used'} while the caller works for a long time: ${name}`,
      async (t) => {
        const { site, clock, visitors } = await visited(t, open(), 3)

        const seen = await seenSlowly(site, clock, async () => {
          for (const visitor of visitors) {
            t.is(await visitor.origin(), 'resumed')
            if (renews) await visitor.does((session) => session.regenerate())
          }
        })

        t.deepEqual(seen, [0, 1, 2])
      },
    )

for (const [name, open] of Object.entries(narrow))
  test.serial(`scan shows a session once that gets a new id after it was shown: ${name}`, async (t) => {
    const { site, visitors } = await visited(t, open(), 24)
    const byId = new Map<string, Visitor>()
    for (const visitor of visitors) byId.set(await visitor.publicId(), visitor)
    const seen: unknown[] = []

    for await (const { publicId, data } of site.middleware.scan()) {
      seen.push(data?.a)
      // As a login does, right after an administrator's page has counted this session.
      await byId.get(publicId)?.does((session) => session.regenerate())
    }

    t.deepEqual(
      numbers(seen),
      visitors.map((_visitor, at) => at),
    )
  })

test.serial('scan follows a tombstone that it has read, though that one is swept before its turn comes', async (t) => {
  const store = new NarrowSqlite(libsql.open(':memory:'))
  store.width = 8
  const { site, clock, visitors } = await visited(t, store, 24)
  const left = new Map<string, Visitor>()
  for (const visitor of visitors) left.set(await visitor.publicId(), visitor)
  const seen: unknown[] = []

  for await (const { publicId, data } of site.middleware.scan()) {
    seen.push(data?.a)
    left.delete(publicId)
    // At the end of the first portion, all others but the next one get new ids: their tombstones are in the portion that follows,
    // and some of the sessions themselves where the scan has been.
    if (seen.length === 8) {
      store.width = 100
      for (const key of [...left.keys()].toSorted().slice(1))
        await left.get(key)?.does((session) => session.regenerate())
    }
    // With that portion in its hands the caller works for more than a minute, and the sweep deletes the tombstones.
    if (seen.length === 9) {
      clock.now += 70_000
      await site.middleware.deleteExpired()
    }
  }

  t.deepEqual(
    [...new Set(numbers(seen))],
    visitors.map((_visitor, at) => at),
  )
})

for (const [name, open] of Object.entries(wide))
  test.serial(`scan shows a session that is used after the idle timeout was shortened: ${name}`, async (t) => {
    const store = open()
    const { clock, visitors } = await visited(t, store, 3, '2h')
    const site = await opened(t, store, clock, '10m')
    const users = await Promise.all(visitors.map(async (visitor) => site.visitor(await visitor.cookie())))

    const seen = await seenSlowly(site, clock, async () => {
      for (const user of users) t.is(await user.origin(), 'resumed')
    })

    t.deepEqual(seen, [0, 1, 2])
  })
