// Flash messages of parallel requests.
import { claim, type UnderWay, type Visitor } from '../support/scene.ts'

claim('messages that parallel requests put all survive', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const requests = Array.from({ length: 5 }, (_, at) => visitor.loads((session) => session.flash('note', at)))
  const loaded = await Promise.all(requests)
  await Promise.all(loaded.map((request) => request.ends()))

  const { result } = await visitor.does((session) => session.flash('note'))
  t.deepEqual(result?.sort(), [0, 1, 2, 3, 4])
})

claim('a message is read once', async (t, { visitor }) => {
  await visitor.does((session) => session.flash('note', 'hello'))

  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, ['hello'])
  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, [])
})

/** A request that takes the messages of a key, and waits. */
function takesSlowly(visitor: Visitor): Promise<UnderWay<readonly unknown[]>> {
  return visitor.starts(async (session, wait) => {
    const messages = session.flash('note')
    await wait()
    return messages
  })
}

claim('overlapping takes may show a message twice, and leave none', async (t, { visitor }) => {
  await visitor.does((session) => session.flash('note', 'hello'))

  const slow = await takesSlowly(visitor)
  const fast = await visitor.does((session) => session.flash('note'))

  t.deepEqual([(await slow.ends()).result, fast.result], [['hello'], ['hello']])
  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, [])
})

claim('a message that is put while another request takes those of its key survives', async (t, { visitor }) => {
  await visitor.does((session) => session.flash('note', 'first'))

  const slow = await takesSlowly(visitor)
  await visitor.does((session) => session.flash('note', 'second'))

  t.deepEqual((await slow.ends()).result, ['first'])
  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, ['second'])
})

claim(
  'messages neither conflict with data nor are dropped by clear()',
  { onConflict: 'throw' },
  async (t, { visitor }) => {
    await visitor.does((session) => {
      session.data.a = 1
      session.flash('note', 'first')
    })

    const slow = await visitor.starts(async (session, wait) => {
      session.flash('note', 'second')
      await wait()
    })
    await visitor.does((session) => session.clear())

    t.is((await slow.ends()).status, 200)
    t.deepEqual(
      (await visitor.does((session) => ({ note: session.flash('note'), data: { ...session.data } }))).result,
      { note: ['first', 'second'], data: {} },
    )
  },
)

claim('a message that was taken in a request that fails is there for the next', async (t, { visitor }) => {
  await visitor.does((session) => session.flash('note', 'hello'))

  await visitor.does((session) => {
    session.flash('note')
    throw new Error('before it was shown')
  })

  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, ['hello'])
})

claim('a message outlives a change of id, and not one that keeps nothing', async (t, { visitor }) => {
  await visitor.does((session) => session.flash('note', 'hello'))
  await visitor.does((session) => session.regenerate())
  const kept = await visitor.does((session) => session.flash('note'))
  await visitor.does((session) => session.flash('note', 'again'))
  await visitor.does((session) => session.regenerate({ keep: false }))

  t.deepEqual(kept.result, ['hello'])
  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, [])
})
