// Two processes over one Redis: a browser registers in one, proves in the other, and neither serves a copy of its cookies.
import test, { type ExecutionContext } from 'ava'
import { Browser } from '../support/app.ts'
import { MINUTE, seen } from '../support/bound-site.ts'
import { challengeIn, Device, HTTPS, withoutCookie } from '../support/device.ts'
import { ROOT } from '../support/consumer.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { freePort, listening, start } from '../support/service.ts'

const [make] = redisMakes()
const redis = make && (await startRedis(make))
test.after.always(() => redis?.running.stop())
const testWithRedis = redis === undefined ? test.skip : test

async function startProcess(t: ExecutionContext): Promise<Browser> {
  const port = await freePort()
  const program = ['--import', './test/support/loader.js', 'test/support/bound-process.ts']
  const running = start(process.execPath, [...program, String(port), String(redis?.port ?? 0)], { cwd: ROOT })
  t.teardown(() => running.stop())
  await listening(port, running)
  return new Browser(`http://127.0.0.1:${port}`)
}

testWithRedis('a browser that registered in one process goes on in the other, and a thief in neither', async (t) => {
  t.timeout(120_000)
  const [one, other] = await Promise.all([startProcess(t), startProcess(t)])
  const device = new Device(one)
  // Cookies know no ports: one jar for both.
  const elsewhere = Object.assign(new Device(Object.assign(new Browser(other.url), { jar: one.jar })), {
    pair: device.pair,
  })
  const registered = await elsewhere.register(await device.get('/in'))
  t.is(registered.status, 200, 'one process offers, the other registers')
  device.id = elsewhere.id
  const stolen = await one.cookie()
  const alone = withoutCookie(stolen, 'sid-bound')
  const originsOf = async (cookie: string): Promise<string[]> => {
    const answers = await Promise.all(
      [one, other].map(({ url }) => new Browser(url).send('/', cookie, { headers: HTTPS })),
    )
    return answers.map((answer) => seen(answer).origin)
  }
  const pass = (milliseconds: number) =>
    Promise.all([one, other].map((browser) => browser.send(`/clock/${milliseconds}`, '', { method: 'POST' })))

  await pass(2 * MINUTE)
  t.deepEqual(await originsOf(stolen), ['resumed', 'resumed'])
  t.deepEqual(await originsOf(alone), ['unbound', 'unbound'])
  await pass(10 * MINUTE)
  t.deepEqual(await originsOf(stolen), ['unbound', 'unbound'])

  const found = challengeIn(await device.ask())
  t.is((await elsewhere.prove(found?.challenge ?? '')).status, 200, 'a challenge of one is good in the other')
  t.is((await device.prove(found?.challenge ?? '')).status, 403, 'and counts once')
  t.like(seen(await device.get('/add')), { origin: 'resumed', owner: 'ada', isBound: true, n: 1 })
  t.like(seen(await elsewhere.get('/add')), { origin: 'resumed', owner: 'ada', isBound: true, n: 2 })
  t.deepEqual(await originsOf(stolen), ['unbound', 'unbound'])

  const last = challengeIn(await device.ask())?.challenge ?? ''
  const answers = await Promise.all([device, elsewhere, device, elsewhere].map((twin) => twin.prove(last)))
  t.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403, 403], 'also at the same moment')
})
