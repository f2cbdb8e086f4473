// Chains that never return, as below koa-connect, Vite or an Express app: the response is over, and next() is never called.
import { once } from 'node:events'
import type { Context } from 'koa'
import type { SessionManager } from '../../src/index.ts'
import { claim, type Contents } from '../support/scene.ts'
import { noticesOf } from '../support/warnings.ts'

/** Answers by itself, and never returns. */
async function answers(ctx: Context): Promise<never> {
  ctx.respond = false
  ctx.res.statusCode = 200
  ctx.res.end('own')
  return new Promise(() => undefined)
}

/** Resolves when what a response that has closed left to be stored is stored. */
async function closed(ctx: Context | undefined): Promise<void> {
  if (ctx === undefined) throw new Error('the handler never ran')
  if (!ctx.res.closed) await once(ctx.res, 'close')
  await new Promise((resolve) => setImmediate(resolve))
}

claim('what a chain that never returns had pending is stored as its response closes', async (t, { visitor }) => {
  await visitor.does(({ data }) => void (data.a = 1))
  let seen: Context | undefined
  const reply = await visitor.does((session, ctx) => {
    seen = ctx
    session.data.b = 2
    session.flash('note', 'hello')
    return answers(ctx)
  })
  await closed(seen)

  t.is(reply.status, 200)
  // The visitor's next request may come while that is being stored: it waits for nothing, so it is asked until it shows.
  for (let tries = 0; tries < 200 && (await visitor.sees())?.b !== 2; tries++);
  t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, ['hello'])
})

claim('what is first changed after the headers have left is stored as the response closes, too', async (t, stage) => {
  const { visitor } = stage
  await visitor.does(({ data }) => void (data.a = 1))
  let seen: Context | undefined
  const reply = await visitor.does((session, ctx) => {
    seen = ctx
    ctx.respond = false
    ctx.res.writeHead(200)
    ctx.res.write('own')
    session.data.b = 2
    ctx.res.end()
    return new Promise<never>(() => undefined)
  })
  await closed(seen)

  t.is(reply.status, 200)
  for (let tries = 0; tries < 200 && (await visitor.sees())?.b !== 2; tries++);
  t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
})

claim('a visitor of a chain that never returns gets one session, not one with each request', async (t, stage) => {
  const { visitor, scene } = stage
  const lines: number[] = []
  for (let turn = 0; turn < 3; turn++) {
    let seen: Context | undefined
    const reply = await visitor.does((session, ctx) => {
      seen = ctx
      session.data.count = (session.data.count ?? 0) + 1
      return answers(ctx)
    })
    await closed(seen)
    lines.push(reply.sid.length)
    for (let tries = 0; tries < 200 && (await visitor.sees())?.count !== turn + 1; tries++);
  }

  t.deepEqual(lines, [1, 0, 0])
  t.deepEqual(await visitor.sees(), { count: 3 })
  t.is((await scene.live()).length, 1)
})

claim('what cannot be stored as the response closes is a notice, once, and no uncaught error', async (t, stage) => {
  const { lines, first, logger } = noticesOf('a response was over before its middleware returned')
  const site = await stage.scene.mount({ logger })
  const visitor = await site.visitor()
  await visitor.does(({ data }) => void (data.a = 1))
  for (let turn = 0; turn < 2; turn++) {
    let seen: Context | undefined
    const { status } = await visitor.does((session, ctx) => {
      seen = ctx
      ;(session.data as { thing?: unknown }).thing = new Map()
      return answers(ctx)
    })
    t.is(status, 200)
    await closed(seen)
    await first
  }

  t.is(lines.length, 1)
  t.regex(lines[0] ?? '', /ERR_SESSION_VALUE/)
  t.deepEqual(await visitor.sees(), { a: 1 })
})

claim('a destroy() and a new id of a chain that never returns hold', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => void (data.a = 1))
  const renewed = await visitor.does(async (session: SessionManager<Contents>, ctx) => {
    await session.regenerate()
    return answers(ctx)
  })
  t.is(renewed.sid.length, 1)
  t.deepEqual(await visitor.sees(), { a: 1 })
  const out = await visitor.does(async (session: SessionManager<Contents>, ctx) => {
    await session.destroy()
    return answers(ctx)
  })

  t.is(out.sid.length, 1)
  t.is(await visitor.origin(), 'new')
  t.deepEqual(await scene.live(), [])
})
