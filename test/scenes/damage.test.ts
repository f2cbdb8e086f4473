// Records that are not what was written: damaged, exchanged, encrypted with an unknown key, of another shape.
import type { SessionRecord } from '../../src/index.ts'
import { claim, pairOf, type Contents, type Options } from '../support/scene.ts'

const damages: Record<string, Partial<SessionRecord>> = {
  'a truncated payload': { payload: '{"a":' },
  'a payload that is no JSON': { payload: 'a:1:{s:1:"a";i:1;}' },
  'a list for a payload': { payload: '[1,2,3]' },
  'a number for a payload': { payload: '42' },
  'null for a payload': { payload: 'null' },
  'messages that are none': { payload: '[{"a":1},[["tag"]]]' },
  'bytes for a payload': { payload: new Uint8Array([0, 255, 254, 1]) },
  'the bytes of an unknown format': { payload: new Uint8Array(64).fill(9) },
  'a payload nested beyond measure': { payload: `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}` },
  'notes that are no JSON': { meta: '{"s":' },
  'notes of another kind': { meta: '{"s":"yesterday"}' },
}

for (const [what, damage] of Object.entries(damages)) {
  claim(`${what} starts a fresh session with an event, and never a loop of errors`, async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const cookie = await visitor.cookie()
    await scene.tamper(cookie, damage)

    const looked = await visitor.does(({ data, origin, isNew }) => ({ ...data, origin, isNew }))
    const rejects = scene.heard('reject')
    const changed = await visitor.does(({ data }) => (data.b = 2))

    t.deepEqual([looked.status, looked.sid], [200, []])
    t.deepEqual(looked.result, { origin: 'expired', isNew: true })
    t.like(rejects, [{ reason: 'corrupt' }])
    t.is(rejects.length, 1)
    t.deepEqual([changed.status, changed.sid.length], [200, 1])
    t.not((await visitor.cookie()).split('.')[0], cookie.split('.')[0])
    t.deepEqual(await visitor.sees(), { b: 2 })
  })
}

claim('what is said of a damaged session is said of a fresh one', async (t, { visitor, scene, clock }) => {
  await visitor.does((session) => session.signIn('ada'))
  const publicId = await visitor.publicId()
  await scene.tamper(await visitor.cookie(), { payload: '{' })
  clock.advance(1000)

  const { result } = await visitor.does((session) => ({
    owner: session.owner,
    origin: session.origin,
    createdAt: session.createdAt,
    publicId: session.publicId,
    authenticatedAt: session.authenticatedAt,
  }))

  t.like(result, { owner: undefined, origin: 'expired', createdAt: clock.now, authenticatedAt: undefined })
  t.not(result?.publicId, publicId)
})

claim('a login over a damaged session starts empty', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  await scene.tamper(await visitor.cookie(), { payload: '{' })

  const reply = await visitor.does((session) => session.signIn('ada'))

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.deepEqual((await visitor.does(({ data, owner }) => ({ ...data, owner }))).result, { owner: 'ada' })
})

claim('a logout of a damaged session is no error', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  await scene.tamper(await visitor.cookie(), { payload: '{' })

  t.is((await visitor.does((session) => session.destroy())).status, 200)
  t.is((await visitor.origin()) === 'resumed', false)
})

claim(
  'a record that is damaged between the load and the commit is not written over: the change is gone',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const slow = await visitor.starts(async ({ data }, wait) => {
      data.b = 2
      await wait()
    })
    await scene.tamper(await visitor.cookie(), { payload: '{' })

    const { status, code, sid } = await slow.ends()
    t.deepEqual([status, code, sid], [409, 'ERR_SESSION_GONE', []])
  },
)

claim('nor is one whose notes are damaged, where list() has read it meanwhile', async (t, stage) => {
  const { visitor, scene, site } = stage
  await visitor.does((session) => session.signIn('ada'))
  const slow = await visitor.loads(({ data }) => (data.b = 2))
  await scene.tamper(await visitor.cookie(), { meta: '{"s":' })
  t.is((await site.middleware.list('ada')).length, 1)

  const { status, code, sid } = await slow.ends()
  t.deepEqual([status, code, sid], [409, 'ERR_SESSION_GONE', []])
})

const FIRST = 'the first encryption key, long enough to be one'
const SECOND = 'the second encryption key, long enough to be one'
const encrypted: Options = { encryptionKeys: [FIRST] }

claim('with encryption no data is readable at rest', encrypted, async (t, { visitor, scene }) => {
  await visitor.does((session) => {
    session.data.profile = { name: 'confidential' }
    session.flash('note', 'confidential')
  })

  const { payload = '' } = (await scene.record(await visitor.cookie())) ?? {}
  t.true(payload instanceof Uint8Array)
  t.false(
    Buffer.from(payload as Uint8Array)
      .toString('latin1')
      .includes('confidential'),
  )
  t.deepEqual(await visitor.sees(), { profile: { name: 'confidential' } })
})

claim(
  'a payload under an unknown encryption key is an outage: 503, no handler, cookie untouched; with the key it works',
  encrypted,
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const cookie = await visitor.cookie()

    const locked = await (
      await (await scene.mount({ encryptionKeys: [SECOND] })).visitor(cookie)
    ).does(({ data }) => data.a)
    const opened = await (
      await (await scene.mount({ encryptionKeys: [SECOND, FIRST] })).visitor(cookie)
    ).does(({ data }) => data.a)

    t.deepEqual([locked.status, locked.code, locked.ran, locked.setCookie], [503, 'ERR_SESSION_STORE', false, []])
    t.is(opened.result, 1)
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim('a change writes the payload under the newest encryption key', encrypted, async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const cookie = await visitor.cookie()

  await (
    await (await scene.mount({ encryptionKeys: [SECOND, FIRST] })).visitor(cookie)
  ).does(({ data }) => (data.b = 2))

  t.deepEqual(await (await (await scene.mount({ encryptionKeys: [SECOND] })).visitor(cookie)).sees(), { a: 1, b: 2 })
})

claim("another record's ciphertext is refused as corrupt", encrypted, async (t, { visitor, site, scene }) => {
  const admin = await site.visitor()
  await admin.does(({ data }) => (data.a = 1))
  await visitor.does(({ data }) => (data.b = 2))
  const { payload = '' } = (await scene.record(await admin.cookie())) ?? {}
  await scene.tamper(await visitor.cookie(), { payload })

  const { status, result } = await visitor.does(({ data, origin }) => ({ ...data, origin }))

  t.deepEqual([status, result], [200, { origin: 'expired' }])
  t.like(scene.heard('reject'), [{ reason: 'corrupt' }])
})

claim('a ciphertext does not open for another owner', encrypted, async (t, { visitor, scene }) => {
  await visitor.does(async (session) => {
    await session.signIn('eve')
    session.data.a = 1
  })
  await scene.tamper(await visitor.cookie(), { owner: 'ada' })

  t.deepEqual((await visitor.does(({ data, owner, origin }) => ({ ...data, owner, origin }))).result, {
    owner: undefined,
    origin: 'expired',
  })
})

for (const [what, damage] of Object.entries({
  'a changed byte': (payload: Uint8Array) => payload.map((byte, at) => (at === payload.length - 1 ? byte ^ 1 : byte)),
  'a missing end': (payload: Uint8Array) => payload.slice(0, -1),
  'nothing but its head': (payload: Uint8Array) => payload.slice(0, 12),
})) {
  claim(`a ciphertext with ${what} is refused as corrupt`, encrypted, async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const { payload = '' } = (await scene.record(await visitor.cookie())) ?? {}
    await scene.tamper(await visitor.cookie(), { payload: damage(payload as Uint8Array) })

    t.is(await visitor.origin(), 'expired')
    t.is((await visitor.does(({ data }) => (data.b = 2))).sid.length, 1)
  })
}

claim('plain text is no session once encryption is on', encrypted, async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  await scene.tamper(await visitor.cookie(), { payload: '{"a":1}' })

  t.is(await visitor.origin(), 'expired')
})

claim(
  'an encrypted session is an outage for an app without encryption keys: 503, and the cookie stays',
  encrypted,
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const plain = await scene.mount({ encryptionKeys: undefined })

    const reply = await (await plain.visitor(await visitor.cookie())).does(({ data }) => ({ ...data }))

    t.deepEqual([reply.status, reply.setCookie], [503, []])
  },
)

/** Data whose `a` is a number, if any. */
const schema: NonNullable<Options['schema']> = {
  '~standard': {
    validate: (value) => {
      const { a } = value as { a?: unknown }
      return a === undefined || typeof a === 'number'
        ? { value: value as Contents }
        : { issues: [{ message: 'no number', path: ['a'] }] }
    },
  },
}

claim(
  'looking at data that breaks the schema is ERR_SESSION_SCHEMA, and what is stored stays as it is',
  { schema },
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const cookie = await visitor.cookie()
    await scene.tamper(cookie, { payload: '{"a":"secret"}' })

    const { status, code, ran, setCookie, error } = await visitor.does(({ data }) => data.a)

    t.deepEqual([status, code, ran, setCookie], [500, 'ERR_SESSION_SCHEMA', true, []])
    t.regex((error as Error).message, /data\.a/)
    t.notRegex((error as Error).message, /secret/)
    t.is((await scene.record(cookie))?.payload, '{"a":"secret"}')
  },
)

claim(
  'a change that breaks the schema is ERR_SESSION_SCHEMA, and nothing of it is stored',
  { schema },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await visitor.does(({ data }) => Object.assign(data, { a: 'one', b: 2 }))

    t.deepEqual([reply.status, reply.code], [500, 'ERR_SESSION_SCHEMA'])
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim(
  'a merge that breaks the schema is ERR_SESSION_SCHEMA, and what others stored stands',
  {
    schema: {
      '~standard': {
        validate: (value) => {
          const { a, b } = value as Contents
          return a !== undefined && b !== undefined
            ? { issues: [{ message: 'not both' }] }
            : { value: value as Contents }
        },
      },
    },
  },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.c = 1))

    const slow = await visitor.does(async ({ data }) => {
      data.a = 1
      await visitor.does((other) => (other.data.b = 2))
    })

    t.is(slow.code, 'ERR_SESSION_SCHEMA')
    t.deepEqual(await visitor.sees(), { b: 2, c: 1 })
  },
)

claim(
  'a session that grows over maxBytes is refused, and stays as it was',
  { maxBytes: 100 },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await visitor.does(({ data }) => (data.cart = ['x'.repeat(200)]))

    t.deepEqual([reply.status, reply.code], [500, 'ERR_SESSION_TOO_LARGE'])
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim(
  'a corrupt session is shown without its data in list(), and can be ended',
  async (t, { visitor, site, scene }) => {
    await visitor.does((session) => session.signIn('ada'))
    const publicId = await visitor.publicId()
    await scene.tamper(await visitor.cookie(), { payload: '{' })

    t.like(await site.middleware.list('ada'), [{ publicId, owner: 'ada', data: undefined }])
    t.true(await site.middleware.destroy(publicId, { owner: 'ada' }))
    t.deepEqual(await site.middleware.list('ada'), [])
  },
)

claim(
  'a new session after a damaged one leaves no record that anybody could use',
  async (t, { visitor, site, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const old = await visitor.cookie()
    await scene.tamper(old, { payload: '{' })
    const { sid } = await visitor.does(({ data }) => (data.b = 2))

    t.not(pairOf(sid[0]), old)
    t.is(await site.sender(old).origin(), 'expired')
  },
)
