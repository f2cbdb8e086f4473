// A schema that uses the very session that it checks: it would wait for itself.
import { tryCurrentSession, type SessionManager, type SessionMiddleware } from '../../src/index.ts'
import { claim, type Contents, type Options } from '../support/scene.ts'

type Use = (session: SessionManager<Contents>, sessions: SessionMiddleware<Contents>, publicId: string) => unknown

const USES: Readonly<Record<string, Use>> = {
  'save()': (session) => session.save(),
  'reload()': (session) => session.reload(),
  'destroy()': (session) => session.destroy(),
  'regenerate()': (session) => session.regenerate(),
  "signIn('ada')": (session) => session.signIn('ada'),
  'update()': (session) => session.update((data) => void (data.b = 2)),
  'clear()': (session) => session.clear(),
  'flash()': (session) => session.flash('note', 'hello'),
  'setting maxAge': (session) => (session.maxAge = '1h'),
  'save() after an await': async (session) => {
    await Promise.resolve()
    await session.save()
  },
  'sessions.update()': (_session, sessions, publicId) => sessions.update(publicId, () => undefined),
  'sessions.destroy()': (_session, sessions, publicId) => sessions.destroy(publicId),
}

/** A schema that accepts all, and does this first where it is armed. */
function schemaThat(use: () => unknown): { schema: NonNullable<Options['schema']>; arm: (isArmed: boolean) => void } {
  let isArmed = false
  return {
    arm: (wanted) => (isArmed = wanted),
    schema: {
      '~standard': {
        validate: async (value) => {
          if (isArmed) await use()
          return { value: value as Contents }
        },
      },
    },
  }
}

for (const [what, use] of Object.entries(USES)) {
  claim(
    `a schema that calls ${what} of the session that it checks is refused, and the session stays as it was`,
    async (t, { scene }) => {
      let publicId = ''
      let manager: SessionManager<Contents> | undefined
      const refusals: unknown[] = []
      const { schema, arm } = schemaThat(async () => {
        try {
          if (manager !== undefined) await use(manager, site.middleware, publicId)
        } catch (error) {
          refusals.push((error as { code?: unknown }).code)
          throw error
        }
      })
      const site = await scene.mount({ schema })
      const visitor = await site.visitor()
      await visitor.does(({ data }) => void (data.a = 1))
      publicId = await visitor.publicId()
      for (const how of ['at the commit', 'in save()', 'in update()']) {
        const { status, code } = await visitor.does(async (session) => {
          manager = session
          arm(true)
          if (how === 'in update()') await session.update((data) => void (data.c = 3))
          else session.data.c = 3
          if (how === 'in save()') await session.save()
        })
        arm(false)

        // A schema that throws, whatever it is.
        t.deepEqual([status, code], [500, 'ERR_SESSION_SCHEMA'], how)
        t.deepEqual(new Set(refusals.splice(0)), new Set(['ERR_SESSION_IN_UPDATE']), how)
        t.deepEqual(await visitor.sees(), { a: 1 }, how)
      }
      await site.middleware.close()
    },
  )
}

claim('a schema that catches the refusal has its say, and what it checked is stored', async (t, { scene }) => {
  const codes: unknown[] = []
  let manager: SessionManager<Contents> | undefined
  const { schema, arm } = schemaThat(async () => {
    try {
      await manager?.destroy()
    } catch (error) {
      codes.push((error as { code?: unknown }).code)
    }
  })
  const site = await scene.mount({ schema })
  const visitor = await site.visitor()
  const { status } = await visitor.does((session) => {
    manager = session
    arm(true)
    session.data.a = 1
  })
  arm(false)

  t.is(status, 200)
  t.true(codes.length > 0 && codes.every((code) => code === 'ERR_SESSION_IN_UPDATE'), String(codes))
  t.deepEqual(await visitor.sees(), { a: 1 })
})

claim(
  'a schema finds the session that it checks by currentSession(), wherever the check runs',
  async (t, { scene }) => {
    const found: unknown[] = []
    const { schema, arm } = schemaThat(() => found.push(tryCurrentSession()?.publicId))
    const site = await scene.mount({ schema })
    const visitor = await site.visitor()
    await visitor.does(({ data }) => void (data.a = 1))
    const publicId = await visitor.publicId()
    for (const how of ['at the commit', 'in save()', 'in update()']) {
      await visitor.does(async (session) => {
        arm(true)
        if (how === 'in update()') await session.update((data) => void (data.c = 3))
        else session.data.b = 3
        if (how === 'in save()') await session.save()
      })
      arm(false)

      t.true(found.length > 0, how)
      t.deepEqual(new Set(found.splice(0)), new Set([publicId]), how)
      await visitor.does(({ data }) => {
        delete data.b
        delete data.c
      })
    }
  },
)

claim(
  'a schema finds the session of a commit by currentSession() in what another process stored meanwhile',
  async (t, { scene, site: elsewhere }) => {
    const found: unknown[] = []
    const { schema, arm } = schemaThat(() => found.push(tryCurrentSession()?.publicId))
    const visitor = await (await scene.mount({ schema })).visitor()
    await visitor.does(({ data }) => void (data.a = 1))
    const late = await visitor.loads(({ data }) => {
      data.b = 2
      arm(true)
    })
    await elsewhere.sender(await visitor.cookie()).does(({ data }) => void (data.c = 3))

    t.is((await late.ends()).status, 200)

    // Once before each try, and in what is stored.
    t.deepEqual(found, Array.from({ length: 3 }).fill(await visitor.publicId()))
    arm(false)
    t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 3 })
  },
)

claim(
  'a schema finds the session of a commit by currentSession() in the session of a parallel sign-in',
  { owner: ({ profile }) => profile?.name },
  async (t, { scene }) => {
    const found: unknown[] = []
    const { schema, arm } = schemaThat(() => found.push(tryCurrentSession() !== undefined))
    const visitor = await (await scene.mount({ schema })).visitor()
    await visitor.does(({ data }) => void (data.a = 1))
    const late = await (
      await visitor.snapshot()
    ).loads(({ data }) => {
      data.profile = { name: 'ada' }
      arm(true)
    })
    await visitor.does(({ data }) => void (data.profile = { name: 'ada' }))

    t.is((await late.ends()).status, 200)

    t.true(found.length > 0)
    t.deepEqual(new Set(found), new Set([true]))
  },
)
