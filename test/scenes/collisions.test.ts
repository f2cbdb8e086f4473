// A generateId that repeats itself: nobody ever gets another one's session.
import { claim, pairOf, type Options } from '../support/scene.ts'

const TAKEN = 'an-id-that-somebody-else-has-already'

/** Ids that are the same again and again, until they are not. */
function ids(repeats: number): { options: Options; drawn: () => number } {
  let drawn = 0
  const generateId = (): string => {
    drawn++
    return drawn <= repeats + 1 ? TAKEN : `${TAKEN}-${drawn}`
  }
  return { options: { generateId }, drawn: () => drawn }
}

claim('an id that is taken is drawn again, and the session that has it stays as it is', async (t, { scene }) => {
  const site = await scene.mount(ids(2).options)
  const [first, second] = [await site.visitor(), await site.visitor()]
  await first.does(({ data }) => (data.a = 1))

  const { status, sid } = await second.does(({ data }) => (data.b = 2))

  t.is(status, 200)
  t.not(pairOf(sid[0]), await first.cookie())
  t.deepEqual([await first.sees(), await second.sees()], [{ a: 1 }, { b: 2 }])
})

claim(
  'a generateId that only repeats itself is an error in the end, without a cookie, and never the other session',
  async (t, { scene, store }) => {
    const { options, drawn } = ids(Infinity)
    const site = await scene.mount(options)
    const [first, second] = [await site.visitor(), await site.visitor()]
    await first.does(({ data }) => (data.a = 1))
    store.counted()

    const reply = await second.does(({ data }) => (data.b = 2))

    t.deepEqual([reply.status, reply.code, reply.setCookie], [503, 'ERR_SESSION_STORE', []])
    t.regex((reply.error as Error).message, /generateId/)
    t.true(drawn() < 20)
    t.deepEqual(Object.keys(store.counted()), ['create'])
    t.deepEqual(await first.sees(), { a: 1 })
  },
)

claim('a regenerate whose new id is taken draws another', async (t, { scene }) => {
  let drawn = 0
  const site = await scene.mount({
    generateId: () => [`${TAKEN}-1`, `${TAKEN}-2`, `${TAKEN}-1`, `${TAKEN}-2`, `${TAKEN}-3`][drawn++] ?? `${TAKEN}-x`,
  })
  const [first, second] = [await site.visitor(), await site.visitor()]
  await first.does(({ data }) => (data.a = 1))
  await second.does(({ data }) => (data.b = 2))

  t.is((await second.does((session) => session.regenerate())).status, 200)

  t.deepEqual([await first.sees(), await second.sees()], [{ a: 1 }, { b: 2 }])
  t.is((await scene.live()).length, 2)
})

claim('a login that finds no free id fails, and leaves both sessions as they were', async (t, { scene }) => {
  let drawn = 0
  const site = await scene.mount({
    // The first one is drawn when session() is called, which tries it once.
    generateId: () => (drawn++ < 2 ? `${TAKEN}-other` : TAKEN),
  })
  const [first, second] = [await site.visitor(), await site.visitor()]
  await second.does(({ data }) => (data.b = 2))
  await first.does(({ data }) => (data.a = 1))

  const reply = await second.does((session) => session.signIn('ada'))

  t.deepEqual([reply.status, reply.setCookie], [503, []])
  t.deepEqual([await first.sees(), await second.sees()], [{ a: 1 }, { b: 2 }])
  t.is((await first.does(({ owner }) => owner)).result, undefined)
})

claim(
  'the id of an expired session may be given again, and nothing of the old one comes with it',
  async (t, { scene, clock }) => {
    const site = await scene.mount(ids(Infinity).options)
    const [first, second] = [await site.visitor(), await site.visitor()]
    await first.does(({ data }) => (data.a = 1))
    clock.advance(25 * 3_600_000)

    t.is((await second.does(({ data }) => (data.b = 2))).status, 200)
    t.deepEqual(await second.sees(), { b: 2 })
  },
)

claim('an id that the handler has read is the one that is stored', async (t, { visitor }) => {
  const { result, sid } = await visitor.does(({ id }) => id)

  t.is(pairOf(sid[0]).split('.')[0], `sid=${result ?? ''}`)
})

for (const [what, id] of Object.entries({
  'too short': 'short',
  'of other characters': 'an id with spaces, of some length',
  'no text': 7,
})) {
  claim(`a generateId whose result is ${what} is refused when session() is called`, async (t, { scene }) => {
    await t.throwsAsync(scene.mount({ generateId: () => id as string }), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_VALUE',
    })
  })

  claim(`a generateId whose later result is ${what} is refused, and nothing is stored`, async (t, { scene, store }) => {
    let drawn = 0
    const site = await scene.mount({ generateId: () => (drawn++ === 0 ? TAKEN : (id as string)) })

    const reply = await (await site.visitor()).does(({ data }) => (data.a = 1))

    t.deepEqual([reply.status, reply.code, reply.setCookie], [500, 'ERR_INVALID_ARG_VALUE', []])
    t.deepEqual(store.counted(), {})
  })
}
