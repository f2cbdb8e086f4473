// Answers that take their time and end with their session: server-sent events, and a text that is written word by word, as
// a language model does. session.signal stops both, and the work behind them, wherever the session is signed out.
//
//   curl -c jar -X POST http://127.0.0.1:18080/login/ada
//   curl -N -b jar http://127.0.0.1:18080/events &
//   curl -N -b jar http://127.0.0.1:18080/answer &
//   curl -b jar -X POST http://127.0.0.1:18080/logout
import { Readable } from 'node:stream'
import { setInterval as every, setTimeout as pause } from 'node:timers/promises'
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionState } from 'koa-fastsession'

const KEEP_ALIVE = Number(process.env['KEEP_ALIVE'] ?? 15_000) // below the idle timeout of every proxy in between
const PACE = Number(process.env['PACE'] ?? 300)

const app = new Koa()
const router = new Router<SessionState>()
const sessions = session({ keys: ['a secret that only this server knows'] })

router.post('/login/:name', async (ctx) => {
  await ctx.state.session.signIn(ctx.params['name'] ?? '') // after the password was checked
  ctx.status = 204
})

router.post('/logout', async (ctx) => {
  await ctx.state.session.destroy()
  ctx.status = 204
})

// A stream that is still open is no use of its session: after the idle timeout it ends with it.
router.get('/events', (ctx) => {
  const { owner, signal } = ctx.state.session
  if (owner === undefined) return ctx.throw(401)
  ctx.type = 'text/event-stream'
  ctx.set({ 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' }) // nginx would hold events back
  ctx.body = Readable.from(news(owner, signal))
})

router.get('/answer', (ctx) => {
  const { owner, signal } = ctx.state.session
  if (owner === undefined) return ctx.throw(401)
  ctx.type = 'text/plain'
  ctx.body = Readable.from(answer(`To ${owner}: the sea is wide, and a letter takes its time.`, signal))
})

async function* news(owner: string, signal: AbortSignal): AsyncGenerator<string> {
  yield `event: hello\ndata: ${JSON.stringify({ owner })}\n\n`
  try {
    // A comment now and then: proxies close what is silent, and a reader that has gone shows at a write.
    for await (const _ of every(KEEP_ALIVE, undefined, { signal })) yield ': still here\n\n'
  } catch (error) {
    if (!signal.aborted) throw error
    // The page closes its EventSource at this event. Without it, it would come back, and get a 401.
    yield 'event: end\ndata: {}\n\n'
  }
}

async function* answer(text: string, signal: AbortSignal): AsyncGenerator<string> {
  for (const word of text.split(' ')) {
    if (signal.aborted) return
    yield `${word} `
    // Here a model thinks: await fetch(model, { signal }).
    await pause(PACE, undefined, { signal }).catch(() => undefined)
  }
  yield '\n'
}

app.use(sessions)
app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))
