// What takes longer than a tombstone lies there: a session that gets a new id meanwhile is found all the same.
import { once } from 'node:events'
import test from 'ava'
import { MemoryStore } from '../../src/index.ts'
import type { RecordPage } from '../../src/store.ts'
import { KEYS } from '../support/app.ts'
import { claim, HOUR, maxAgeOf, MINUTE, Site, type Handler } from '../support/scene.ts'
import { turns } from '../support/stopped-clock.ts'

for (const [what, before, after] of [
  ['however long it takes until its turn comes', 0, 2 * MINUTE],
  ['also where the clock is set back meanwhile', -5 * MINUTE, 0],
] as const)
  claim(`updateAll follows a new id, ${what}`, async (t, { site, clock }) => {
    const visitors = await Promise.all([site.visitor(), site.visitor()])
    for (const visitor of visitors) await visitor.does((session) => session.signIn('ada'))
    const names = await Promise.all(visitors.map((visitor) => visitor.publicId()))
    let isFirst = true

    const count = await site.middleware.updateAll('ada', async (data, publicId) => {
      data.count = (data.count ?? 0) + 1
      if (!isFirst) return
      isFirst = false
      const other = visitors.find((_visitor, at) => names[at] !== publicId)
      clock.advance(before)
      await other?.does((session) => session.regenerate())
      // As many sessions, or a slow `fn`, between the two.
      clock.advance(after)
    })

    t.is(count, 2)
    for (const visitor of visitors) t.deepEqual(await visitor.sees(), { count: 1 })
  })

claim('destroy() ends the successor, however long its request has been under way', async (t, stage) => {
  const { visitor, scene, clock } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const slow = await visitor.loads((session) => session.destroy())
  await visitor.does((session) => session.regenerate())
  clock.advance(2 * MINUTE)

  const reply = await slow.ends()

  t.is(reply.status, 200)
  t.deepEqual(await scene.live(), [], 'a logout is a logout')
  t.is(maxAgeOf(reply.sid[0]), 0)
})

/** Gives about one record at a time. */
class Narrow extends MemoryStore {
  override scan(now: number, _limit: number, cursor: string | undefined): RecordPage {
    return super.scan(now, 1, cursor)
  }
}

for (const [what, times] of [
  ['a new id', 1],
  ['several new ids', 2],
] as const)
  test.serial(`scan shows a session that gets ${what} meanwhile, however long the caller takes`, async (t) => {
    const clock = { now: 1_800_000_000_000 }
    const site = await Site.open({
      keys: [...KEYS],
      store: new Narrow(),
      now: () => clock.now,
      sweepInterval: false,
      logger: {},
    })
    t.teardown(() => site.running.close())
    const visitors = await Promise.all(Array.from({ length: 40 }, () => site.visitor()))
    for (const visitor of visitors) await visitor.does(({ data }) => (data.a = 1))
    const before = await Promise.all(visitors.map((visitor) => visitor.publicId()))
    const seen = new Set<string>()
    let isHalf = false

    for await (const { publicId } of site.middleware.scan()) {
      seen.add(publicId)
      if (isHalf || seen.size < 20) continue
      isHalf = true
      // Of so many new ids about half are where the scan has been already.
      for (const [at, visitor] of visitors.entries())
        for (let ids = 0; ids < times && !seen.has(before[at] ?? ''); ids++)
          await visitor.does((session) => session.regenerate())
      clock.now += 2 * MINUTE
    }

    const missed = []
    for (const [at, visitor] of visitors.entries())
      if (!seen.has(before[at] ?? '') && !seen.has(await visitor.publicId())) missed.push(at)
    t.deepEqual(missed, [])
  })

claim('destroy() of a session that expired meanwhile clears no cookie of a fresh one', async (t, stage) => {
  const { site, scene, visitor, clock } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const slow = await (await visitor.snapshot()).loads((session) => session.destroy())
  clock.advance(3 * HOUR)
  // The old session has expired, so the browser gets a fresh one while the upload is still under way.
  await visitor.does((session) => session.signIn('ada'))

  const reply = await slow.ends()

  t.is(reply.status, 200)
  t.deepEqual(reply.sid, [])
  t.deepEqual(scene.heard('destroy'), [], 'it ended nothing')
  t.is((await site.middleware.list('ada')).length, 1)
})

claim(
  'destroy() ends a session that other requests used, however long its request has been under way',
  async (t, stage) => {
    const { visitor, scene, clock } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const slow = await visitor.loads((session) => session.destroy())
    for (let uses = 0; uses < 3; uses++) {
      clock.advance(HOUR)
      await visitor.origin()
    }

    const reply = await slow.ends()

    t.deepEqual(await scene.live(), [])
    t.is(maxAgeOf(reply.sid[0]), 0)
  },
)

const cases: Readonly<Record<string, { does: Handler<unknown>; aborts: boolean }>> = {
  'a new id is no end': { does: (session) => session.regenerate(), aborts: false },
  'two new ids are no end': {
    does: async (session) => {
      await session.regenerate()
      await session.regenerate()
    },
    aborts: false,
  },
  // What must stay as it is.
  'a fresh start is an end': { does: (session) => session.regenerate({ keep: false }), aborts: true },
  'a logout is an end': { does: (session) => session.destroy(), aborts: true },
}

for (const [what, { does, aborts }] of Object.entries(cases)) {
  claim(`the first look at the signal, however long its request has been under way: ${what}`, async (t, stage) => {
    const { visitor, scene, clock } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const slow = await visitor.loads(async (session) => {
      const { signal } = session
      if (aborts && !signal.aborted) await once(signal, 'abort', { signal: AbortSignal.timeout(10_000) })
      // The look reads the store: by then it has an answer.
      for (let tries = 0; tries < 3; tries++) await scene.live()
      await turns()
      return signal.aborted
    })
    await visitor.does(does)
    clock.advance(2 * MINUTE)

    t.is((await slow.ends()).result, aborts)
  })
}

claim(
  'destroy() ends the successor also where the clock was set back while its request was under way',
  async (t, stage) => {
    const { visitor, scene, clock } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const slow = await visitor.loads((session) => session.destroy())
    clock.advance(-5 * MINUTE)
    await visitor.does((session) => session.regenerate())

    const reply = await slow.ends()

    t.is(reply.status, 200)
    t.deepEqual(await scene.live(), [], 'a logout is a logout')
    t.is(maxAgeOf(reply.sid[0]), 0)
  },
)

claim(
  'destroy() ends a session of a short lifetime that another request changed after the clock was set back',
  async (t, stage) => {
    const { visitor, scene, clock } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const slow = await visitor.loads((session) => session.destroy())
    clock.advance(-5 * MINUTE)
    await visitor.does((session) => (session.maxAge = '1m'))

    const reply = await slow.ends()

    t.is(reply.status, 200)
    t.deepEqual(await scene.live(), [])
  },
)
