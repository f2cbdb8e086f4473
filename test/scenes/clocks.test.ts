// Clocks that are wrong: what is far off is told, once, as far as anything shows it.
import { claim, HOUR, MINUTE, type Stage } from '../support/scene.ts'
import { noticesOf } from '../support/warnings.ts'

/** Sweeps over the store itself, with a clock that is so many milliseconds off. */
async function sweptWith(off: number, { scene, clock }: Stage, whenTold: boolean): Promise<readonly string[]> {
  const { lines, first, logger } = noticesOf('clock')
  const site = await scene.mount({ store: scene.beneath.inner, now: () => clock.now + off, logger })
  await site.middleware.deleteExpired()
  if (whenTold && scene.beneath.inner.serverTime !== undefined) await first
  await site.middleware.deleteExpired()
  // The server answers the commands of one connection in their order, and the check was sent before.
  await scene.beneath.inner.serverTime?.()
  return lines
}

claim('a clock that is far ahead of the server is told with the first sweep, once', async (t, stage) => {
  const lines = await sweptWith(24 * HOUR, stage, true)

  if (stage.scene.beneath.inner.serverTime === undefined) t.deepEqual(lines, [])
  else
    t.regex(
      lines.join('\n'),
      /^koa-fastsession: the clock of this process is 86\d\d\d s ahead of [^\n]*too early[^\n]*$/,
    )
})

claim('a clock that is far behind the server is told', async (t, stage) => {
  const lines = await sweptWith(-24 * HOUR, stage, true)

  if (stage.scene.beneath.inner.serverTime === undefined) t.deepEqual(lines, [])
  else
    t.regex(lines.join('\n'), /^koa-fastsession: the clock of this process is 86\d\d\d s behind [^\n]*too late[^\n]*$/)
})

claim('a clock that is right is not told', async (t, stage) => {
  t.deepEqual(await sweptWith(0, stage, false), [])
})

claim('a session that was last used far in the future is told once, and goes on', async (t, stage) => {
  const { clock, visitor, scene } = stage
  const { lines, logger } = noticesOf('clock')
  await visitor.does(({ data }) => void (data.a = 1))
  const behind = await scene.mount({ now: () => clock.now - HOUR, logger })
  const same = behind.sender(await visitor.cookie())

  t.deepEqual(await same.sees(), { a: 1 })
  t.deepEqual(await same.sees(), { a: 1 })
  t.is(lines.length, 1)
  t.regex(lines[0] ?? '', /a session was last used 3600 s after the instant that the clock of this process shows/)
})

claim('clocks that are apart by less than a minute are no news', async (t, { clock, visitor, scene }) => {
  const { lines, logger } = noticesOf('clock')
  await visitor.does(({ data }) => void (data.a = 1))
  const behind = await scene.mount({ now: () => clock.now - MINUTE, logger })
  await behind.sender(await visitor.cookie()).sees()

  t.deepEqual(lines, [])
})
