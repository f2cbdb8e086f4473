// An owner of so many sessions that they come in portions, while one of them gets a new id: where the walk has been
// already, or where it still has to go.
import { newRecord } from '../../src/conformance/scene.ts'
import { publicIdOf } from '../../src/cookie/id.ts'
import type { Barrier } from '../support/faults.ts'
import { claim, HOUR, MINUTE, SECOND, type Options, type Stage, type Visitor } from '../support/scene.ts'

// More than a portion, and fewer than two.
const OTHERS = 250
// The first and the last character in the order of keys; the others lie between.
const [FIRST, LAST] = ['-', 'z']

let ids = 0

/** An id whose public id begins so. */
function idOf(beginning: string): string {
  for (;;) {
    const id = `walk-${String(++ids).padStart(20, '0')}`
    if (publicIdOf(id).startsWith(beginning)) return id
  }
}

interface Walk {
  /** Where the next id is to be. */
  next: string
  readonly options: Options
}

function walk(first: string, options: Options = {}): Walk {
  const one: Walk = { next: first, options: { ...options, generateId: () => idOf(one.next) } }
  return one
}

/** Sessions of ada, of which no browser knows. */
async function fill({ store, clock: { now } }: Stage, count = OTHERS, lifetime = HOUR): Promise<void> {
  for (let at = 0; at < count; at++) {
    const [key, expiresAt] = [`${at}`.padStart(43, 'm'), now + lifetime]
    await store.create(newRecord(now, { key, payload: '{"count":0}', owner: 'ada', expiresAt }), now)
  }
}

async function signIn({ visitor, clock }: Stage): Promise<Visitor> {
  clock.advance(SECOND)
  await visitor.does((session) => {
    session.data.count = 0
    return session.signIn('ada')
  })
  return visitor
}

/** Gets a new id in another portion, in the order of keys and, as Redis has it, of ends. */
async function move(walk: Walk, visitor: Visitor, to: string): Promise<void> {
  walk.next = to
  const { status } = await visitor.does((session) => {
    session.maxAge = to === FIRST ? 10 * MINUTE : 12 * HOUR
    return session.regenerate()
  })
  if (status !== 200) throw new Error(`it got no new id: ${status}`)
}

/** Begins a call, does something once it stands at the barrier, and lets it go on; what it answers. */
async function amid<Result>(
  barrier: Barrier,
  call: () => Promise<Result>,
  meanwhile: () => Promise<void>,
): Promise<Result> {
  const answer = call()
  await barrier.arrived
  await meanwhile()
  barrier.open()
  return answer
}

const listing = walk(LAST)
claim('list shows a session that gets a new id where it has been already', listing.options, async (t, stage) => {
  const { store, site } = stage
  listing.next = LAST
  await fill(stage)
  const visitor = await signIn(stage)

  const list = await amid(
    store.pause('list', 'after'),
    () => site.middleware.list('ada'),
    () => move(listing, visitor, FIRST),
  )

  const shown = list.map(({ publicId }) => publicId)
  t.true(shown.includes(await visitor.publicId()))
  t.is(shown.length, OTHERS + 1)
})

const ahead = walk(FIRST)
claim('list shows a session once that gets a new id where it still has to go', ahead.options, async (t, stage) => {
  const { store, site } = stage
  ahead.next = FIRST
  const visitor = await signIn(stage)
  await fill(stage, OTHERS, 3 * HOUR)

  const list = await amid(
    store.pause('list', 'after'),
    () => site.middleware.list('ada'),
    () => move(ahead, visitor, LAST),
  )

  const shown = list.map(({ publicId }) => publicId)
  t.is(shown.filter((publicId) => !publicId.startsWith('m')).length, 1)
  t.true(shown.includes(await visitor.publicId()))
})

const ending = walk(LAST)
claim('destroyAll ends a session that gets a new id where it has been already', ending.options, async (t, stage) => {
  const { store, site, scene } = stage
  ending.next = LAST
  await fill(stage)
  const visitor = await signIn(stage)

  const count = await amid(
    store.pause('list', 'after'),
    () => site.middleware.destroyAll('ada'),
    () => move(ending, visitor, FIRST),
  )

  t.is(count, OTHERS + 1)
  t.is(await visitor.origin(), 'expired')
  t.deepEqual(await scene.live(), [])
})

const updating = walk(LAST)
claim(
  'updateAll updates a session that gets a new id where it has been already',
  updating.options,
  async (t, stage) => {
    const { store, site } = stage
    updating.next = LAST
    await fill(stage)
    const visitor = await signIn(stage)

    const count = await amid(
      store.pause('listKeys', 'after'),
      () => site.middleware.updateAll('ada', (data) => (data.count = (data.count ?? 0) + 1)),
      () => move(updating, visitor, FIRST),
    )

    t.is(count, OTHERS + 1)
    t.is((await visitor.sees())?.count, 1)
  },
)

const updated = walk(FIRST)
claim('updateAll updates a session once that gets a new id after it was updated', updated.options, async (t, stage) => {
  const { site } = stage
  updated.next = FIRST
  const visitor = await signIn(stage)
  const publicId = await visitor.publicId()
  await fill(stage, OTHERS, 3 * HOUR)
  let hasMoved = false

  const count = await site.middleware.updateAll('ada', async (data, key) => {
    data.count = (data.count ?? 0) + 1
    if (key === publicId || hasMoved || (await site.middleware.get(publicId))?.data?.count !== 1) return
    hasMoved = true
    await move(updated, visitor, LAST)
  })

  t.true(hasMoved)
  t.is(count, OTHERS + 1)
  t.is((await visitor.sees())?.count, 1)
})

const limited = walk(LAST, { maxPerOwner: OTHERS })
claim('the limit counts a session that gets a new id while it is counted', limited.options, async (t, stage) => {
  const { store, site, clock } = stage
  limited.next = LAST
  await fill(stage, OTHERS - 1)
  const visitor = await signIn(stage)
  store.heal()
  const held = store.pause('listKeys', 'after')
  const newcomer = await site.visitor()
  clock.advance(SECOND)

  const signedIn = newcomer.does((session) => session.signIn('ada'))
  await held.arrived
  await move(limited, visitor, FIRST)
  held.open()

  t.is((await signedIn).status, 200)
  t.is((await site.middleware.list('ada')).length, OTHERS)
  t.deepEqual([await visitor.origin(), await newcomer.origin()], ['resumed', 'resumed'])
})
