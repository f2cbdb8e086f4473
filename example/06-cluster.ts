// Four processes on one port share their sessions in Redis: whichever of them answers, the count goes on. It needs a
// Redis or Valkey:
//
//   docker compose -f example/compose.yaml up -d redis
//   for i in 1 2 3 4 5; do curl -b jar -c jar http://127.0.0.1:18080/; done
import cluster from 'node:cluster'
import Koa from 'koa'
import { session, type SessionState } from 'koa-fastsession'
import { RedisStore } from 'koa-fastsession/redis'
import { createClient } from 'redis'

interface Visitor {
  count?: number
}

const port = Number(process.env['PORT'] ?? 18080)

if (cluster.isPrimary) {
  for (let count = 0; count < 4; count++) cluster.fork()
  cluster.once('listening', () => console.log(`http://localhost:${port}`))
} else {
  const client = createClient({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379', disableOfflineQueue: true })
  client.on('error', (error) => console.error(String(error)))
  await client.connect()

  const app = new Koa<SessionState<Visitor>>()
  // The same keys in every process: each must accept what another one signed.
  app.use(
    session<Visitor>({
      keys: ['a secret that all processes know'],
      store: new RedisStore(client, { prefix: 'example:' }),
    }),
  )

  app.use(async (ctx) => {
    // Not `data.count += 1`: two processes could do that at the same moment, and one of the two would be lost.
    const count = await ctx.state.session.update((data) => (data.count = (data.count ?? 0) + 1))
    ctx.set('Connection', 'close') // so that the next request may go to another process
    ctx.body = { count, process: process.pid }
  })

  app.listen(port, '127.0.0.1')
}
