// The store fails or does not answer. An outage is never "no session": the browser keeps its cookie and gets a 503.
import { SessionError } from '../../src/index.ts'
import type { Fault, Verb } from '../support/faults.ts'
import { claim, HOUR, pairOf, type Handler, type Reply, type Stage, type Visitor } from '../support/scene.ts'

// A hanging store reaches it soon.
const DEADLINE = 300

interface Trouble {
  readonly fault: Fault
  readonly storeTimeout: number
}

const troubles: Record<string, Trouble> = {
  fails: { fault: { kind: 'fail' }, storeTimeout: 20_000 },
  hangs: { fault: { kind: 'hang' }, storeTimeout: DEADLINE },
}

/**
 * The same browser at an app with this deadline. What comes before and after the trouble is served by the patient one:
 * on a busy machine a healthy store may take as long.
 */
async function impatient({ scene, visitor }: Stage, storeTimeout = DEADLINE): Promise<Visitor> {
  const cookie = await visitor.cookie()
  return (await scene.mount({ storeTimeout })).visitor(cookie === '' ? undefined : cookie)
}

/**
 * Sends it until the planned fault has struck: on a busy machine a healthy call before it may miss the short deadline, and
 * nothing was written then.
 */
async function struck<Result>({ store, scene }: Stage, tab: Visitor, work: Handler<Result>): Promise<Reply<Result>> {
  for (let tries = 0; tries < 20; tries++) {
    const reply = await tab.does(work)
    if (!store.isFaultDue) return reply
    scene.events.length = 0
    store.counted()
  }
  throw new Error('no call came as far as the fault')
}

interface Step {
  readonly verb: Verb
  readonly what: string
  readonly work: Handler<unknown>
}

const onStored: readonly Step[] = [
  { verb: 'read', what: 'a look', work: ({ data }) => data.a },
  { verb: 'read', what: 'a request that does not look', work: () => undefined },
  { verb: 'read', what: 'a login', work: (session) => session.signIn('ada') },
  { verb: 'replace', what: 'a change', work: ({ data }) => (data.a = 2) },
  { verb: 'replace', what: 'save()', work: (session) => ((session.data.a = 2), session.save()) },
  { verb: 'replace', what: 'update()', work: (session) => session.update((data) => (data.a = 2)) },
  { verb: 'replace', what: 'a logout', work: (session) => session.destroy() },
  { verb: 'create', what: 'a regenerate', work: (session) => session.regenerate() },
  { verb: 'create', what: 'a login', work: (session) => session.signIn('ada') },
]

function isOutage(reply: Reply<unknown>): boolean {
  return reply.status === 503 && reply.error instanceof SessionError && reply.code === 'ERR_SESSION_STORE'
}

for (const [how, { fault, storeTimeout }] of Object.entries(troubles)) {
  for (const { verb, what, work } of onStored) {
    claim(
      `a store that ${how} at ${verb} answers ${what} with 503, leaves the cookie alone, and the same cookie works afterwards`,
      async (t, stage) => {
        const { visitor, store, scene } = stage
        await visitor.does(({ data }) => (data.a = 1))
        const tab = await impatient(stage, storeTimeout)
        store.next(verb, fault)

        const reply = await struck(stage, tab, work)

        t.true(isOutage(reply))
        // At the deadline where it hangs, and before where it says that it fails.
        const kind = how === 'hangs' ? 'timeout' : undefined
        t.true(scene.heard('store-error').some((told) => told.operation === verb && told.kind === kind))
        t.deepEqual(reply.setCookie, [])
        t.deepEqual(await visitor.sees(), { a: 1 })
        t.is((await visitor.does(({ data }) => (data.b = 2))).status, 200)
      },
    )
  }

  claim(`while a store ${how} at read no handler runs, and nobody becomes anonymous`, async (t, stage) => {
    const { visitor, store, scene } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await impatient(stage, storeTimeout)
    store.next('read', fault)
    store.counted()

    const reply = await tab.does(({ data }) => (data.b = 2))

    t.false(reply.ran)
    t.deepEqual(store.counted(), { read: 1 })
    t.deepEqual(
      scene.heard('store-error').map(({ operation, publicId }) => ({ operation, publicId })),
      [{ operation: 'read', publicId: await visitor.publicId() }],
    )
  })

  claim(`a new session is not begun by a store that ${how}: 503 and no cookie`, async (t, stage) => {
    const { visitor, store } = stage
    const tab = await impatient(stage, storeTimeout)
    store.next('create', fault)

    const reply = await tab.does(({ data }) => (data.a = 1))

    t.true(isOutage(reply))
    t.deepEqual(reply.setCookie, [])
    t.deepEqual(store.counted(), { create: 1 })
    t.is((await visitor.does(({ data }) => (data.a = 1))).sid.length, 1)
  })

  claim(`a touch that ${how} spoils no response and is an event`, { maxAge: '1d', rolling: true }, async (t, stage) => {
    const { visitor, store, scene, clock } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await impatient(stage, storeTimeout)
    clock.advance(3 * HOUR)
    store.next('touch', fault)

    const { status, result, setCookie } = await struck(stage, tab, ({ data }) => data.a)

    t.deepEqual([status, result, setCookie], [200, 1, []])
    t.deepEqual(
      scene.heard('store-error').map(({ operation }) => operation),
      ['touch'],
    )
    t.is((await visitor.does(({ data }) => data.a)).sid.length, 1)
  })

  claim(
    `a logout that finds the store ${how} is told as 503 and does not clear the cookie, and nothing is half done`,
    async (t, stage) => {
      const { visitor, store, scene } = stage
      await visitor.does(({ data }) => (data.a = 1))
      const tab = await impatient(stage, storeTimeout)
      store.next('replace', fault)

      const reply = await struck(stage, tab, (session) => session.destroy())

      t.true(isOutage(reply))
      t.deepEqual(reply.setCookie, [])
      t.is((await scene.live()).length, 1)
      t.is(await visitor.origin(), 'resumed')
    },
  )

  claim(
    `a merge that finds the store ${how} at its second read is told as 503, and what others stored stands`,
    async (t, stage) => {
      const { visitor, store } = stage
      await visitor.does(({ data }) => (data.a = 1))
      const tab = await impatient(stage, storeTimeout)

      const overtaken = () =>
        tab.does(async ({ data }) => {
          data.b = 2
          await visitor.does((other) => (other.data.c = 3))
          store.next('read', fault)
        })
      let reply = await overtaken()
      // On a busy machine the first read may miss the short deadline.
      for (let tries = 0; tries < 20 && !reply.ran; tries++) reply = await overtaken()

      t.true(isOutage(reply))
      t.deepEqual(await visitor.sees(), { a: 1, c: 3 })
    },
  )
}

claim(
  'a handler that catches the outage of a save() answers by itself, its cookie stays, and the commit does not try again',
  async (t, { visitor, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    store.next('replace', { kind: 'fail' })

    const reply = await visitor.does(async (session) => {
      session.data.a = 2
      await t.throwsAsync(session.save(), { code: 'ERR_SESSION_STORE' })
    })

    t.is(reply.status, 200)
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim('what the store said is the cause, and in no response', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const cause = new Error('the disk is full')
  store.next('read', { kind: 'fail', error: cause })

  const { error, body } = await visitor.does(({ data }) => data.a)

  t.is((error as Error).cause, cause)
  t.is(body, 'Service Unavailable')
})

claim('a read that is answered after its deadline changes nothing', async (t, stage) => {
  const { visitor, store } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const tab = await impatient(stage)
  const stop = store.pause('read', 'after')
  store.counted()

  const reply = await tab.does(({ data }) => (data.a = 2))
  stop.open()
  await new Promise((resolve) => setImmediate(resolve))

  t.deepEqual([reply.status, reply.ran, reply.setCookie], [503, false, []])
  t.deepEqual(store.counted(), { read: 1 })
  t.deepEqual(await visitor.sees(), { a: 1 })
})

const late: readonly (readonly [what: string, verb: Verb, work: Handler<unknown>])[] = [
  ['create', 'create', (session) => session.signIn('ada')],
  ['replace', 'replace', ({ data }) => (data.a = 2)],
  ['logout', 'replace', (session) => session.destroy()],
]

for (const [what, verb, work] of late) {
  claim(`a ${what} past its deadline says that its outcome is unknown, and is not repeated`, async (t, stage) => {
    const { visitor, store } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await impatient(stage)
    store.next(verb, { kind: 'hang-after' })
    store.counted()

    const { error } = await struck(stage, tab, work)

    t.regex((error as Error).message, /unknown/)
    t.is(store.counted()[verb], 1)
  })

  claim(`a ${what} that fails after its deadline is no unhandled rejection`, async (t, stage) => {
    const { visitor, store, scene } = stage
    const unhandled: unknown[] = []
    const hear = (reason: unknown) => void unhandled.push(reason)
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await impatient(stage)
    const stop = store.pause(verb)
    scene.beneath.next(verb, { kind: 'fail' })

    process.on('unhandledRejection', hear)
    const reply = await struck(stage, tab, work)
    stop.open()
    // Rejections are reported when the microtasks of a turn are done.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', hear)

    t.is(reply.status, 503)
    t.deepEqual(unhandled, [])
  })
}

for (const kind of ['fail-after', 'hang-after'] as const) {
  claim(`a change whose answer is lost (${kind}) stands, and the next request goes on from it`, async (t, stage) => {
    const { visitor, store } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await impatient(stage)
    store.next('replace', { kind })

    const reply = await struck(stage, tab, ({ data }) => (data.a = 2))
    const next = await visitor.does(({ data }) => (data.b = 2))

    t.deepEqual([reply.status, reply.sid, next.status], [503, [], 200])
    t.deepEqual(await visitor.sees(), { a: 2, b: 2 })
  })
}

claim(
  'a whole outage: every request with a session gets 503, every other is served, and then all goes on as before',
  async (t, { visitor, site, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const cookie = await visitor.cookie()
    store.break('read', 'create', 'replace', 'touch', 'delete')

    const known = await Promise.all(Array.from({ length: 5 }, () => visitor.does(({ data }) => data.a)))
    const looking = await (await site.visitor()).does(({ data }) => ({ ...data }))
    const beginning = await (await site.visitor()).does(({ data }) => (data.a = 1))
    store.heal()

    t.true(known.every(isOutage))
    t.deepEqual([looking.status, beginning.status], [200, 503])
    t.deepEqual(
      [...known, looking, beginning].flatMap(({ setCookie }) => setCookie),
      [],
    )
    t.is(await visitor.cookie(), cookie)
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim('list, destroy and destroyAll reject with the store while it fails', async (t, { visitor, site, store }) => {
  await visitor.does((session) => session.signIn('ada'))
  store.break('read', 'list', 'replace')
  const { middleware } = site
  const publicId = await visitor.publicId()

  for (const call of [
    () => middleware.list('ada'),
    () => middleware.destroy(publicId),
    () => middleware.destroyAll('ada'),
  ]) {
    await t.throwsAsync(call, { instanceOf: SessionError, code: 'ERR_SESSION_STORE' })
  }
})

claim('the errors of an outage tell neither an id nor data', async (t, { visitor, store }: Stage) => {
  await visitor.does(({ data }) => (data.profile = { name: 'confidential' }))
  const cookie = await visitor.cookie()
  store.next('replace', { kind: 'fail' })

  const { error } = await visitor.does(({ data }) => (data.profile = { name: 'confidential too' }))

  const { message, stack = '' } = error as Error
  t.notRegex(message + stack, /confidential/)
  t.false((message + stack).includes(cookie.slice(4, 36)))
})

claim('a logout that is tried again because its answer was lost clears the cookie', async (t, stage) => {
  const { visitor, store, scene } = stage
  await visitor.does(({ data }) => (data.a = 1))
  store.next('replace', { kind: 'fail-after' })

  const reply = await visitor.does(async (session) => {
    await t.throwsAsync(async () => session.destroy(), { code: 'ERR_SESSION_STORE' })
    await session.destroy()
  })

  t.deepEqual(await scene.live(), [])
  t.deepEqual([reply.status, pairOf(reply.sid[0])], [200, 'sid='])
})
