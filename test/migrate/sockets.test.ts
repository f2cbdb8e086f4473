// The upgrade to a WebSocket within Koa's chain (koa-easy-ws): its response carries no cookie of ours.
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { ada, goOn, pages, type Visitor } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'

for (const isByHand of [false, true])
  test(`a WebSocket that comes first after the deploy signs nobody out, ${isByHand ? 'with a response made by hand' : 'in a response of the server'}`, async (t) => {
    let now = Date.now()
    const sockets = new WebSocketServer({ noServer: true })
    const app = new Koa()
    app.silent = true
    app.use(session<Visitor>({ keys: [...KEYS] }))
    app.use(
      takeOver<Visitor>({
        from: fromKoaSession({ store: new OldStore(ada()) }),
        until: now + DAY,
        goOn,
        now: () => now,
      }),
    )
    app.use(async (ctx, next) => {
      if (ctx.req.headers.upgrade === undefined) {
        await next()
        return
      }
      ctx.respond = false
      await new Promise((resolve) => sockets.handleUpgrade(ctx.req, ctx.req.socket, Buffer.alloc(0), resolve))
    })
    app.use(pages)
    const running = await served(t, app)
    const answer = app.callback()
    if (isByHand) running.server.on('upgrade', (request) => void answer(request, new ServerResponse(request)))
    const client = new WebSocket(running.url.replace('http', 'ws'), { headers: { cookie: signed('k1') } })
    client.on('error', () => undefined)
    t.teardown(() => client.terminate())
    await Promise.race([once(client, 'open'), once(client, 'close'), sleep(3000)])
    // All sockets connect again by themselves at a deploy; the user looks at a page a minute later.
    now += 60_000

    t.is((await running.browser().send('/', signed('k1'))).body, 'ada {"cart":["book"]}')
    t.is(client.readyState, WebSocket.OPEN)
  })
