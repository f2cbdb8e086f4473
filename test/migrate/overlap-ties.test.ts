// What a tie tells and what it does not: the version before, the last day, another request, and an owner whom the cookie does not name.
import { createCipheriv, hash, hkdfSync } from 'node:crypto'
import test from 'ava'
import { MemoryStore } from '../../src/index.ts'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const HOUR = DAY / 24

const ada = (): [string, Record<string, unknown>] => [
  'k1',
  { user: 'ada', _expire: Date.now() + 9 * DAY, _maxAge: 9 * DAY },
]

/** What the version before stored for the session with this id: its tie ends with the overlap. */
function tieOfBefore(id: string, until: number): Parameters<MemoryStore['create']>[0] {
  const key = new Uint8Array(hkdfSync('sha256', id, '', 'koa-fastsession/migrate tie', 32))
  const nonce = new Uint8Array(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const sealed = [nonce, cipher.update(JSON.stringify(['k1', until + DAY])), cipher.final(), cipher.getAuthTag()]
  return {
    key: hash('sha256', `koa-fastsession/migrate tie ${id}`, 'base64url'),
    version: 1,
    payload: '',
    owner: undefined,
    createdAt: 0,
    lastSeenAt: 0,
    expiresAt: until,
    meta: Buffer.concat(sealed).toString('base64url'),
  }
}

test('a logout at an old process is one where the version before took the session over', async (t) => {
  const store = new MemoryStore()
  const old = new OldStore(ada())
  const app = await after(t, fromKoaSession({ store: old }), { store }, { overlap: '1h' })
  const mine = ours(await app.browser().send('/', signed('k1')))
  const id = /^sid=([\w-]+)\./.exec(mine)?.[1] ?? ''
  const tie = tieOfBefore(id, Date.now() + HOUR)
  t.true(store.delete(tie.key), 'there is no tie')
  store.create(tie, Date.now())
  t.is((await app.browser().send('/', mine)).body, 'ada {}')
  old.records.delete('k1')

  t.is((await app.browser().send('/', mine)).body, 'nobody {}')
})

test('after the last day the old store may be empty', async (t) => {
  let time = Date.now()
  const now = (): number => time
  const old = new OldStore(ada())
  const until = time + HOUR
  const app = await after(t, fromKoaSession({ store: old }), { now }, { overlap: '1h', now, until })
  const mine = ours(await app.browser().send('/', signed('k1')))
  time += 1.5 * HOUR
  old.records.clear()

  t.is((await app.browser().send('/', mine)).body, 'ada {}')
})

for (const hours of [0.99, 1.5])
  test(`an old session that the first request after the overlap ends beside another one is not missed, which comes at ${hours} of it`, async (t) => {
    let time = Date.now()
    const old = new OldStore(ada())
    const from = fromKoaSession({ store: old })
    const store = new MemoryStore()
    // The clocks of two processes differ.
    const ahead = (): number => time + (hours < 1 ? HOUR / 60 : 0)
    const one = await after(t, from, { store, now: () => time }, { overlap: '1h', now: () => time })
    const other = await after(t, from, { store, now: ahead }, { overlap: '1h', now: ahead })
    const mine = ours(await one.browser().send('/', signed('k1')))
    time += hours * HOUR
    const get = old.get.bind(old)
    let arrive: () => void = () => undefined
    let goOn: () => void = () => undefined
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const goes = new Promise<void>((resolve) => (goOn = resolve))
    old.get = async (key) => {
      old.get = get
      arrive()
      await goes
      return get(key)
    }
    const slow = one.browser().send('/', mine)
    await arrived
    t.is((await other.browser().send('/', mine)).body, 'ada {}')
    t.false(old.records.has('k1'))
    goOn()

    t.is((await slow).body, 'ada {}')
    t.is((await one.browser().send('/', mine)).body, 'ada {}')
  })

test('who signs in under a name that the old cookie does not have goes on as long as the cookie does', async (t) => {
  const app = await after(
    t,
    fromKoaSession(),
    {},
    { overlap: '1h', goOn: (current, { user }) => current.signIn(`user of ${String(user)}`) },
  )
  const cookie = inCookie({ user: 'ada' })
  const mine = ours(await app.browser().send('/count', cookie))

  t.is((await app.browser().send('/', `${mine}; ${cookie}`)).body, 'user of ada {"n":1}')
})
