// What earlier releases wrote, as it lies in each store (scripts/fixtures.js), is read by its cookies as they read it.
import { readdirSync, readFileSync } from 'node:fs'
import test from 'ava'
import { session, type SessionStore } from '../../src/index.ts'
import { rawStores, type RawStore } from '../support/raw-stores.ts'
import { current, release } from '../support/releases.ts'
import { change, read, type Written } from '../support/written.ts'

interface Fixtures {
  readonly version: string
  readonly sessions: readonly Written[]
  /** What each store held; a store that came later has nothing. */
  readonly stores: Readonly<Record<string, unknown>>
}

const folder = new URL('fixtures/', import.meta.url)
const releases = readdirSync(folder).map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Fixtures)

const stores: { name: string; raw: RawStore }[] = []
for (const [name, make] of Object.entries(rawStores)) {
  const raw = await make()
  if (raw !== undefined) stores.push({ name, raw })
}
test.after.always(() => Promise.all(stores.map(({ raw }) => raw.close())))

/** One text for both, so that a failing test shows which sessions differ, and all of them. */
const told = (one: Written, state: unknown): string => `${one.group}, ${one.name}: ${JSON.stringify(state)}`
const lives = ({ state }: Written): boolean => state['origin'] === 'resumed'

for (const { version, sessions, stores: contents } of releases)
  for (const { name, raw } of stores) {
    let store: SessionStore
    const content = contents[name]
    if (content === undefined) continue // the release had no such store

    test.serial(
      `${name}, written by ${version}: each cookie finds what that release found, encrypted or not`,
      async (t) => {
        // Each store knows what it gave.
        await raw.put(content as never)
        store = await raw.open(current)

        for (const one of sessions) t.is(told(one, await read(session, store, one)), told(one, one.state))
      },
    )

    test.serial(
      `${name}, written by ${version}: a change keeps all else, and the owner has their sessions`,
      async (t) => {
        for (const one of sessions.filter(lives)) {
          const state = await change(session, store, one)
          t.like(state, { origin: 'resumed', publicId: one.state['publicId'], createdAt: one.state['createdAt'] })
          t.deepEqual([state['owner'], state['authenticatedAt']], [one.state['owner'], one.state['authenticatedAt']])
          t.is(state['maxAge'], one.state['maxAge'])
          t.regex(String(state['data']), /"added":/)
          for (const key of ['views', 'text', 'passport', 'day', 'map'].filter((key) =>
            String(one.state['data']).includes(`"${key}":`),
          ))
            t.true(String(state['data']).includes(`"${key}":`), told(one, state))
        }
        if (store.list === undefined) return
        const owned = sessions.filter(({ state }) => state['owner'] === 'ada')
        const { records } = await store.list('ada', owned[0]?.at ?? 0, 100, undefined)
        t.deepEqual(records.map(({ key }) => key).sort(), owned.map(({ state }) => String(state['publicId'])).sort())
      },
    )

    test.serial(
      `${name}, written by ${version}: after that, the release reads plain JSON as the current version does`,
      async (t) => {
        const entries = release(version)
        const older = (await import(entries.index)) as { session: typeof session }
        const theirs = await raw.open(entries)

        for (const one of sessions.filter(({ group }) => !/encrypted|codec/.test(group)))
          t.is(told(one, await read(older.session, theirs, one)), told(one, await read(session, store, one)))
      },
    )
  }
