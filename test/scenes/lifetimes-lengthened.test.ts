// A deploy that makes the idle timeout longer signs nobody out who is active.
import { claim, MINUTE, staysActive, type Contents, type Handler, type Options } from '../support/scene.ts'

claim(
  'where the idle timeout was made longer, an active session outlives the old one',
  { idleTimeout: '30m' },
  async (t, { scene, visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const deployed = await scene.mount({ idleTimeout: '6h' })
    const after = await deployed.visitor(await visitor.cookie())

    // It is used every five minutes. A touch is due after 36 minutes, and the stored expiry comes after 30.
    t.is(await staysActive(after, clock, 5 * MINUTE, 12), 'resumed')
  },
)

claim(
  'where the idle timeout was made longer, one touch makes up for it',
  { idleTimeout: '30m' },
  async (t, { scene, visitor, clock, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const deployed = await scene.mount({ idleTimeout: '6h' })
    const after = await deployed.visitor(await visitor.cookie())
    t.is(await staysActive(after, clock, MINUTE, 1), 'resumed')
    store.counted()

    // No further one follows before it is due.
    t.is(await staysActive(after, clock, MINUTE, 10), 'resumed')
    t.is(store.counted().touch ?? 0, 0)
    t.is(await staysActive(after, clock, 20 * MINUTE, 1), 'resumed')
  },
)

const anything = {
  '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value: value as Contents }) },
}

const looks: Readonly<Record<string, { options?: Options; look: Handler<unknown> }>> = {
  'a schema parses its data': { options: { schema: anything }, look: ({ data }) => data.a },
  'each request reads it again': { look: (session) => session.reload() },
}

for (const [what, { options, look }] of Object.entries(looks)) {
  claim(
    `where the idle timeout was made longer, an active session outlives the old one also if ${what}`,
    { idleTimeout: '30m', ...options },
    async (t, { scene, visitor, clock }) => {
      await visitor.does(({ data }) => (data.a = 1))
      const deployed = await scene.mount({ idleTimeout: '6h' })
      const after = await deployed.visitor(await visitor.cookie())

      for (let turn = 0; turn < 12; turn++) {
        clock.advance(5 * MINUTE)
        await after.does(look)
      }

      t.is(await after.origin(), 'resumed')
    },
  )
}

claim(
  'where the idle timeout was made longer, a process whose clock is behind touches nothing in vain',
  { idleTimeout: '30m' },
  async (t, { scene, visitor, clock, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const deployed = await scene.mount({ idleTimeout: '6h', now: () => clock.now - MINUTE })
    const after = await deployed.visitor(await visitor.cookie())
    store.counted()

    // The store keeps the later use, and its expiry.
    for (let turn = 0; turn < 10; turn++) t.is(await after.origin(), 'resumed')

    t.is(store.counted().touch ?? 0, 0)
    t.is(await staysActive(after, clock, MINUTE, 1), 'resumed')
    t.is(store.counted().touch, 1)
  },
)
