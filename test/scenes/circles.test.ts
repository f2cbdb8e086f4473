// Tombstones that lead nowhere, written by hand or by a program that went wrong: whoever meets them is answered.
import type { SessionRecord } from '../../src/index.ts'
import { newRecord } from '../../src/conformance/scene.ts'
import { claim, publicIdIn, type Stage } from '../support/scene.ts'

/** Puts tombstones into the store, each of which names the next, the last one the first; theirs is the session's own first. */
async function circle({ scene, visitor, clock }: Stage, length: number, last?: string): Promise<SessionRecord[]> {
  await visitor.does((session) => session.signIn('ada'))
  const cookie = await visitor.cookie()
  const own = publicIdIn(cookie)
  const others = Array.from({ length: length - 1 }, () => newRecord(clock.now))
  const keys = [own, ...others.map(({ key }) => key)]
  const next = (index: number): string => JSON.stringify({ n: keys[index + 1] ?? last ?? own })
  await scene.tamper(cookie, { payload: '', meta: next(0), lastSeenAt: clock.now })
  for (const [index, other] of others.entries())
    await scene.beneath.inner.create({ ...other, payload: '', owner: 'ada', meta: next(index + 1) }, clock.now)
  return others
}

for (const [what, length] of [
  ['itself', 1],
  ['one that names it back', 2],
  ['the first of seven', 7],
] as const) {
  claim(
    `a tombstone that names ${what} is a session that has ended, for requests and from elsewhere`,
    async (t, stage) => {
      const { visitor, site, store } = stage
      await circle(stage, length)
      const publicId = await visitor.publicId()

      store.counted()
      t.is(await visitor.origin(), 'expired')
      t.is(await site.middleware.destroy(publicId), false)
      t.is(await site.middleware.get(publicId), undefined)
      await t.throwsAsync(
        site.middleware.update(publicId, () => undefined),
        { code: 'ERR_SESSION_GONE' },
      )
      t.deepEqual(await site.middleware.list('ada'), [])
      t.is(await site.middleware.updateAll('ada', () => undefined), 0)
      t.is(await site.middleware.destroyAll('ada'), 0)
      const seen: unknown[] = []
      for await (const each of site.middleware.scan()) seen.push(each)
      t.deepEqual(seen, [])
      await site.middleware.destroyEverything()
      // Each member of the circle is read a few times for each of these verbs, and no more.
      const { read = 0 } = store.counted()
      t.true(read <= 10 * (length + 1) * length + 10, String(read))

      // A visitor with that cookie signs in like any other.
      const reply = await visitor.does((session) => session.signIn('ada'))
      t.is(reply.status, 200)
      t.is(await visitor.origin(), 'resumed')
    },
  )
}

claim('a logout whose session has become a circle of tombstones meanwhile is answered', async (t, stage) => {
  const { visitor } = stage
  await visitor.does(({ data }) => void (data.a = 1))
  const reply = await visitor.does(async (session) => {
    await circleOver(stage)
    await session.destroy()
  })

  t.is(reply.status, 200)
  t.is(await visitor.origin(), 'expired')
})

claim('a change, a new id and a reload over a circle of tombstones are refused as gone', async (t, stage) => {
  for (const verb of ['save', 'regenerate', 'reload', 'update'] as const) {
    const visitor = await stage.site.visitor()
    await visitor.does(({ data }) => void (data.a = 1))
    const { status, code } = await visitor.does(async (session) => {
      await circleOver({ ...stage, visitor })
      if (verb !== 'reload') session.data.b = 2
      await session[verb](() => undefined)
    })

    t.deepEqual([status, code], [409, 'ERR_SESSION_GONE'], verb)
  }
})

claim('a chain of a thousand tombstones is followed to its end, and others are served meanwhile', async (t, stage) => {
  const { visitor, site, scene, clock } = stage
  const end = newRecord(clock.now, { owner: 'ada', payload: '{"a":1}' })
  await scene.beneath.inner.create(end, clock.now)
  await circle(stage, 1000, end.key)
  const publicId = await visitor.publicId()
  let turns = 0
  const count = (): void => {
    turns++
    counting = setImmediate(count)
  }
  let counting = setImmediate(count)
  const isEnded = await site.middleware.destroy(publicId)
  clearImmediate(counting)

  t.true(isEnded)
  t.is(await site.middleware.get(end.key), undefined)
  t.true(turns >= 50, `${turns} turns of the event loop`)
})

/** The session of the visitor becomes a tombstone whose successor names it back. */
async function circleOver({ scene, visitor, clock }: Stage): Promise<void> {
  const cookie = await visitor.cookie()
  const other = newRecord(clock.now)
  const names = (key: string): Partial<SessionRecord> => ({ payload: '', meta: JSON.stringify({ n: key }) })
  await scene.beneath.inner.create({ ...other, ...names(publicIdIn(cookie)) }, clock.now)
  await scene.tamper(cookie, { ...names(other.key), lastSeenAt: clock.now, owner: undefined })
}
