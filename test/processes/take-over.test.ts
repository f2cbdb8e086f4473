// takeOver in a rolling deploy: processes with the real koa-session, or express-session, and processes of after it serve the
// same browsers over one Redis, in any order, and back again.
import test from 'ava'
import { launch, stopAll, Visitor, type Orders, type Server } from '../support/deploy.ts'
import { redisMakes, startRedis, type RedisServer } from '../support/redis.ts'
import { built } from '../support/releases.ts'

const [make] = redisMakes()
const redis: RedisServer | undefined = make && (await startRedis(make))
test.after.always(async () => {
  await stopAll()
  await redis?.running.stop()
})

const oldSecrets = ['the secret of the app of before, long enough']

for (const from of ['koa-session', 'express-session'] as const) {
  if (redis === undefined) continue
  const store = { redis: redis.port }
  const before: Orders = { app: from, store, keys: [], oldSecrets }
  const after: Orders = { app: built, store, keys: ['the secret of this package, long enough'], from, oldSecrets }

  test.serial(`${from}: six first requests at once, over two processes of after, give one session`, async (t) => {
    t.timeout(300_000)
    const servers = await Promise.all([launch(before), launch(after), launch(after)])
    t.teardown(() => Promise.all(servers.map((server) => server.stop())))
    const [old, one, other] = servers
    const visitor = new Visitor()
    await visitor.ask(old, '/login/ada')
    await visitor.ask(old, '/put/cart')

    const answers = await Promise.all(
      [one, other, one, other, one, other].map((server) => server.ask('/increment/n', visitor.cookie)),
    )
    for (const told of answers) t.like(told, { status: 200, owner: 'ada', data: { cart: 'cart' } })
    t.is(new Set(answers.map(({ publicId }) => publicId)).size, 1)
    t.is(new Set(answers.flatMap(({ setCookie }) => setCookie.map((line) => line.split(';')[0]))).size, 1)
    for (const told of answers) visitor.take(told)
    for (const server of [one, other])
      t.like(await visitor.ask(server, '/look'), { owner: 'ada', data: { cart: 'cart', n: 6 }, setCookie: [] })
  })

  test.serial(`${from}: through a rolling deploy and a rollback nobody is logged out, on either side`, async (t) => {
    t.timeout(300_000)
    const [places, standby]: [Server[], Server[]] = [
      await Promise.all([launch(before), launch(before)]),
      await Promise.all([launch(after), launch(after)]),
    ]
    t.teardown(() => Promise.all([...places, ...standby].map((server) => server.stop())))
    const visitors = await Promise.all(
      [0, 1, 2, 3].map(async (at) => {
        const visitor = new Visitor()
        await visitor.ask(places[at % 2] ?? t.fail(), `/login/visitor${at}`)
        await visitor.ask(places[at % 2] ?? t.fail(), '/put/cart')
        return visitor
      }),
    )
    let requests = 0
    const look = async (): Promise<void> => {
      for (const server of [...places, ...places])
        await Promise.all(
          visitors.map(async (visitor, at) => {
            requests++
            const told = await visitor.ask(server, '/look')
            t.like(told, { status: 200, owner: `visitor${at}`, data: { cart: 'cart' } })
          }),
        )
    }
    const swap = (place: number): void => {
      ;[places[place], standby[place]] = [standby[place] ?? t.fail(), places[place] ?? t.fail()]
    }
    await look()
    for (const place of [0, 1, 0, 1, 1, 0]) {
      swap(place)
      await look()
    }
    t.log(`${requests} requests of ${visitors.length} visitors`)

    // All on the new side again: what is changed there stays there, and each has one session.
    const ids = new Set<unknown>()
    for (const [at, visitor] of visitors.entries())
      for (const [count, server] of places.entries()) {
        const told = await visitor.ask(server, '/increment/n')
        t.like(told, { owner: `visitor${at}`, data: { cart: 'cart', n: count + 1 } })
        ids.add(told.publicId)
      }
    t.is(ids.size, visitors.length)
  })

  test.serial(`${from}: a logout on either side of a rolling deploy is one on both`, async (t) => {
    t.timeout(300_000)
    const servers = await Promise.all([launch(before), launch(after)])
    t.teardown(() => Promise.all(servers.map((server) => server.stop())))
    const [old, next] = servers
    for (const leaving of [old, next]) {
      const visitor = new Visitor()
      await visitor.ask(old, '/login/ada')
      t.is((await visitor.ask(next, '/look')).owner, 'ada')
      t.is((await visitor.ask(old, '/look')).owner, 'ada')
      const theirs = visitor.cookie
      t.is((await visitor.ask(leaving, '/logout')).status, 200)

      for (const cookie of [theirs, visitor.cookie])
        for (const server of servers) t.is((await server.ask('/look', cookie)).owner, undefined)
    }
  })
}
if (redis === undefined) test.skip('takeOver in a rolling deploy', (t) => t.pass())
