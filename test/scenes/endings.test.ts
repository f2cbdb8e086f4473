// A session ends while requests run: by a logout, from elsewhere, or by the clock. Nothing comes back.
import {
  claim,
  HOUR,
  maxAgeOf,
  MINUTE,
  pairOf,
  SECOND,
  type Handler,
  type Reply,
  type Stage,
  type Visitor,
} from '../support/scene.ts'

/** A request loads the session, `end` ends it, and then the request does the rest of its work. */
async function outlived<Result>(
  { visitor }: { visitor: Visitor },
  work: Handler<Result>,
  end: () => Promise<unknown>,
): Promise<Reply<Result>> {
  const request = await visitor.loads(work)
  await end()
  return request.ends()
}

/** One tab destroys the session, and then another, which had loaded it before, does its work. */
async function outlivedLogout<Result>({ visitor }: Stage, work: Handler<Result>): Promise<Reply<Result>> {
  await visitor.does(({ data }) => (data.a = 1))
  const tab = await visitor.snapshot()
  return outlived({ visitor: tab }, work, () => visitor.does((session) => session.destroy()))
}

const ends = {
  'another request destroyed': async ({ visitor }: Stage) =>
    (await visitor.snapshot()).does((session) => session.destroy()),
  'middleware.destroy() ended': async ({ site, visitor }: Stage) => site.middleware.destroy(await visitor.publicId()),
  'destroyAll() ended': ({ site }: Stage) => site.middleware.destroyAll('ada'),
  'the clock ended': ({ clock }: Stage) => {
    clock.advance(2 * HOUR)
    return Promise.resolve()
  },
}

for (const [what, end] of Object.entries(ends)) {
  claim(
    `a change of a session that ${what} meanwhile is refused as gone, without a cookie, and nothing comes back`,
    async (t, stage) => {
      const { visitor, scene } = stage
      await visitor.does((session) => session.signIn('ada'))

      const reply = await outlived(
        stage,
        ({ data }) => (data.a = 1),
        () => end(stage),
      )

      t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
      t.deepEqual(await scene.live(), [])
      t.is(scene.heard('gone').length, 1)
    },
  )

  claim(
    `reading a session that ${what} meanwhile is harmless, sends no cookie, and brings nothing back`,
    async (t, stage) => {
      const { visitor, scene } = stage
      await visitor.does(async (session) => {
        await session.signIn('ada')
        session.data.a = 1
      })

      const reply = await outlived(
        stage,
        ({ data, owner }) => ({ ...data, owner }),
        () => end(stage),
      )

      t.deepEqual([reply.status, reply.sid], [200, []])
      t.deepEqual(reply.result, { a: 1, owner: 'ada' })
      t.deepEqual(await scene.live(), [])
    },
  )

  claim(
    `a regenerate of a session that ${what} meanwhile is refused as gone and leaves no new one`,
    async (t, stage) => {
      await stage.visitor.does((session) => session.signIn('ada'))

      const reply = await outlived(
        stage,
        (session) => session.regenerate(),
        () => end(stage),
      )

      t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
      t.deepEqual(await stage.scene.live(), [])
    },
  )
}

const changes = {
  'a deletion': ({ data }) => {
    delete data.a
  },
  'clear()': (session) => session.clear(),
  'a message': (session) => session.flash('note', 'hello'),
  'an own lifetime': (session) => void (session.maxAge = '1h'),
  'save()': (session) => {
    session.data.b = 2
    return session.save()
  },
  'update()': (session) => session.update((data) => void (data.b = 2)),
  'reload()': (session) => session.reload(),
} satisfies Record<string, Parameters<Visitor['does']>[0]>

for (const [what, change] of Object.entries(changes)) {
  claim(
    `${what} in a session that was destroyed meanwhile is refused as gone, and nothing comes back`,
    async (t, stage) => {
      const reply = await outlivedLogout(stage, change)

      t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
      t.deepEqual(await stage.scene.live(), [])
    },
  )
}

claim(
  'a session that is destroyed between the load and the write of a change is not written again',
  async (t, { visitor, store, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await visitor.snapshot()
    const stop = store.pause('replace')

    const writer = tab.does(({ data }) => (data.a = 2))
    await stop.arrived
    await visitor.does((session) => session.destroy())
    stop.open()

    t.is((await writer).code, 'ERR_SESSION_GONE')
    t.deepEqual(await scene.live(), [])
  },
)

for (const [verb, when] of [
  ['replace', 'before'],
  ['replace', 'after'],
] as const) {
  claim(
    `a change that is committed while a logout stands ${when} its ${verb} does not outlive it`,
    async (t, { visitor, store, scene }) => {
      await visitor.does(({ data }) => (data.a = 1))
      const tab = await visitor.snapshot()
      const stop = store.pause(verb, when)

      const logout = visitor.does((session) => session.destroy())
      await stop.arrived
      const writer = await tab.does(({ data }) => (data.a = 2))
      stop.open()

      t.is((await logout).status, 200)
      // From the moment that the session has ended its cookie begins a new one, as any old cookie does.
      const begun = when === 'before' ? 0 : 1
      t.is((await scene.record(await tab.cookie()))?.payload, '')
      t.is((await scene.live()).length, begun)
      t.is(writer.sid.length, begun)
    },
  )
}

claim(
  'an answer of 4xx over a change of a session that ended meanwhile becomes the 409 of the commit',
  async (t, stage) => {
    const reply = await outlivedLogout(stage, ({ data }, ctx) => {
      data.a = 2
      ctx.throw(422)
    })

    t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
  },
)

claim('of two parallel logouts none fails, and the session has ended', async (t, { visitor, store, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const stop = store.pause('replace')

  const first = visitor.does((session) => session.destroy())
  await stop.arrived
  const second = await visitor.does((session) => session.destroy())
  stop.open()

  t.deepEqual([(await first).status, second.status], [200, 200])
  t.deepEqual(await scene.live(), [])
})

claim(
  'a touch that was under way does not bring back a destroyed session, and the response stands',
  async (t, { visitor, store, clock, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await visitor.snapshot()
    clock.advance(30 * MINUTE)
    const stop = store.pause('touch')

    const reader = tab.does(({ data }) => data.a)
    await stop.arrived
    await visitor.does((session) => session.destroy())
    stop.open()

    t.deepEqual([(await reader).status, (await reader).result, (await reader).sid], [200, 1, []])
    t.deepEqual(await scene.live(), [])
  },
)

claim(
  'a rolling cookie is not renewed for a session that was destroyed meanwhile',
  { maxAge: '1d', rolling: true },
  async (t, stage) => {
    await stage.visitor.does(({ data }) => (data.a = 1))
    const tab = await stage.visitor.snapshot()
    stage.clock.advance(3 * HOUR)

    const reply = await outlived(
      { visitor: tab },
      ({ data }) => data.a,
      () => stage.visitor.does((session) => session.destroy()),
    )

    t.deepEqual([reply.status, reply.sid], [200, []])
  },
)

claim(
  'a rolling cookie is not renewed for a session that got a new id meanwhile',
  { maxAge: '1d', rolling: true },
  async (t, stage) => {
    await stage.visitor.does(({ data }) => (data.a = 1))
    stage.clock.advance(3 * HOUR)
    const loaded = stage.store.pause('touch')

    const slow = stage.visitor.does(({ data }) => data.a)
    await loaded.arrived
    await stage.visitor.does((session) => session.regenerate())
    loaded.open()

    t.deepEqual([(await slow).status, (await slow).sid], [200, []])
    t.deepEqual(await stage.visitor.sees(), { a: 1 })
  },
)

claim('a handler that catches ERR_SESSION_GONE may sign in, and the session begins anew', async (t, stage) => {
  const reply = await outlivedLogout(stage, async (session) => {
    session.data.a = 2
    await t.throwsAsync(session.save(), { code: 'ERR_SESSION_GONE' })
    await session.signIn('ada')
    session.data.b = 2
  })

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.deepEqual(await (await stage.site.visitor(pairOf(reply.sid[0]))).sees(), { b: 2 })
})

claim(
  'what a handler caught as ERR_SESSION_GONE is over: the commit does not try it again, and nothing comes back',
  async (t, stage) => {
    const reply = await outlivedLogout(stage, async (session) => {
      session.data.a = 2
      await t.throwsAsync(session.save(), { code: 'ERR_SESSION_GONE' })
    })

    t.deepEqual([reply.status, reply.code, reply.sid], [200, undefined, []])
    t.deepEqual(await stage.scene.live(), [])
  },
)

claim('a change after a caught ERR_SESSION_GONE is refused at the commit', async (t, stage) => {
  const reply = await outlivedLogout(stage, async (session) => {
    session.data.a = 2
    await t.throwsAsync(session.save(), { code: 'ERR_SESSION_GONE' })
    session.data.b = 3
  })

  t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
})

claim('a late response never touches the fresh cookie that another response has set', async (t, stage) => {
  const { visitor } = stage
  const works: Handler<unknown>[] = [
    ({ data }) => data.a,
    ({ data }) => (data.a = 2),
    (session) => session.destroy(),
    (session) => session.regenerate(),
  ]
  for (const work of works) {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await outlived(stage, work, async () => {
      await visitor.does((session) => session.destroy())
      await visitor.does(({ data }) => (data.b = 2))
    })

    t.deepEqual(reply.sid, [])
    t.deepEqual(await visitor.sees(), { b: 2 })
    await visitor.does((session) => session.destroy())
  }
})

claim('destroy() ends the session before it resolves and clears the cookie', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const before = await visitor.snapshot()

  const reply = await visitor.does(async (session) => {
    session.data.b = 2
    await session.destroy()
    return scene.live()
  })

  t.deepEqual(reply.result, [])
  t.regex(reply.sid[0] ?? '', /^sid=; Max-Age=0; Path=\/; HttpOnly; SameSite=Lax$/)
  t.is(await visitor.cookie(), '')
  t.is(await before.origin(), 'expired')
})

claim('a logout stands and clears the cookie when the handler throws afterwards', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const reply = await visitor.does(async (session) => {
    await session.destroy()
    throw new Error('afterwards')
  })

  t.deepEqual([reply.status, pairOf(reply.sid[0])], [500, 'sid='])
  t.deepEqual(await scene.live(), [])
})

claim('a second destroy() in one request does nothing', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  store.counted()

  const reply = await visitor.does(async (session) => {
    await session.destroy()
    await session.destroy()
  })

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.is(store.counted().replace, 1)
})

claim(
  'an update that comes to its turn after a destroy() of its own request is refused as destroyed',
  async (t, stage) => {
    const { visitor, store, scene } = stage
    await visitor.does(({ data }) => (data.count = 1))
    const elsewhere = (await scene.mount()).sender(await visitor.cookie())

    const request = await visitor.loads(async (session) => {
      const replace = store.pause('replace')
      const update = t.throwsAsync(
        session.update((data) => void (data.count = 2)),
        { code: 'ERR_SESSION_DESTROYED' },
      )
      await replace.arrived
      // It begins after this write, which is refused for the other request's, and before the next try.
      const end = session.destroy()
      replace.open()
      await Promise.all([update, end])
      t.throws(() => session.data, { code: 'ERR_SESSION_DESTROYED' })
    })
    await elsewhere.does(({ data }) => (data.a = 1))
    const { status, sid } = await request.ends()

    t.deepEqual([status, sid.map(maxAgeOf)], [200, [0]])
    t.deepEqual(scene.heard('gone'), [])
    t.deepEqual(await scene.live(), [])
  },
)

claim('what a handler left in a session that it ends may be what cannot be stored', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const { status, sid } = await visitor.does(async (session) => {
    Object.assign(session.data, { v: 10n })
    await session.destroy()
  })

  t.deepEqual([status, sid.length], [200, 1])
  t.deepEqual(await scene.live(), [])
})

claim(
  'a session made and destroyed in one request sends no cookie and leaves no record',
  async (t, { visitor, scene }) => {
    const reply = await visitor.does(async (session) => {
      session.data.a = 1
      await session.save()
      await session.destroy()
    })

    t.deepEqual([reply.status, reply.sid], [200, []])
    t.deepEqual(await scene.live(), [])
  },
)

claim(
  'the cookie of an ended session begins a new one under an id of our own, and is not cleared by a look',
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const old = await visitor.snapshot()
    await visitor.does((session) => session.destroy())

    const looked = await old.does(({ data, origin }) => ({ ...data, origin }))
    const changed = await old.does(({ data }) => (data.b = 2))

    t.deepEqual([looked.result, looked.sid], [{ origin: 'expired' }, []])
    t.is(changed.sid.length, 1)
    t.not(pairOf(changed.sid[0]), await old.cookie())
  },
)

claim(
  'a change by a request that loaded before the end, and committed before it, ends with the session',
  async (t, { visitor, store, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await visitor.snapshot()
    const stop = store.pause('replace', 'after')

    const writer = tab.does(({ data }) => (data.a = 2))
    await stop.arrived
    await visitor.does((session) => session.destroy())
    stop.open()

    t.deepEqual([(await writer).status, (await writer).sid], [200, []])
    t.deepEqual(await scene.live(), [])
  },
)

claim(
  'a session that expires while its change waits for the store is not written',
  { idleTimeout: '1m' },
  async (t, { visitor, store, clock, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const publicId = await visitor.publicId()

    const reply = await visitor.does(async (session) => {
      session.data.a = 2
      clock.advance(61 * SECOND)
      await session.save()
    })

    t.deepEqual([reply.code, reply.sid], ['ERR_SESSION_GONE', []])
    t.is(await store.inner.read(publicId, clock.now), undefined)
    t.deepEqual(await scene.live(), [])
  },
)

claim(
  'destroyAll() ends every session of the owner, the one whose regenerate is under way included',
  async (t, { visitor, site, store, scene }) => {
    const phone = await site.visitor()
    for (const device of [visitor, phone]) await device.does((session) => session.signIn('ada'))
    const stop = store.pause('replace')

    const renewal = phone.does((session) => session.regenerate())
    await stop.arrived
    await site.middleware.destroyAll('ada')
    stop.open()

    t.is((await renewal).code, 'ERR_SESSION_GONE')
    t.deepEqual(await scene.live(), [])
  },
)

/** The ways in which a request may end its own session, ada's, from outside. */
function endsFromOutside({ middleware }: Stage['site']): [verb: string, end: (publicId: string) => Promise<unknown>][] {
  return [
    ['destroyAll', () => middleware.destroyAll('ada')],
    ['destroy', (publicId) => middleware.destroy(publicId)],
    ['destroyEverything', () => middleware.destroyEverything()],
  ]
}

claim('destroy() after the request itself ended its session from outside clears the cookie', async (t, stage) => {
  const { visitor, site } = stage
  for (const [verb, end] of endsFromOutside(site)) {
    await visitor.does((session) => session.signIn('ada'))
    const reply = await visitor.does(async (session) => {
      await end(session.publicId)
      await session.destroy()
    })

    t.deepEqual([reply.status, reply.sid.length, maxAgeOf(reply.sid[0])], [200, 1, 0], verb)
  }
})

claim('so it does where another request had given the session a new id meanwhile', async (t, { visitor, site }) => {
  for (const [verb, end] of endsFromOutside(site)) {
    await visitor.does((session) => session.signIn('ada'))
    const request = await visitor.loads(async (session) => {
      await end(session.publicId)
      await session.destroy()
    })
    await visitor.does((session) => session.regenerate())
    const reply = await request.ends()

    t.deepEqual([reply.status, reply.sid.length, maxAgeOf(reply.sid[0])], [200, 1, 0], verb)
  }
})

claim('destroyAll() leaves the session that is excepted and those of others', async (t, { visitor, site, scene }) => {
  const [phone, eve] = [await site.visitor(), await site.visitor()]
  for (const device of [visitor, phone]) await device.does((session) => session.signIn('ada'))
  await eve.does((session) => session.signIn('eve'))

  t.is(await site.middleware.destroyAll('ada', { except: await phone.publicId() }), 1)

  t.deepEqual((await scene.live()).map(({ owner }) => owner).sort(), ['ada', 'eve'])
})

claim(
  'a login again as the same owner is not refused when destroyAll() came between its two writes',
  async (t, { visitor, site, store }) => {
    await visitor.does((session) => session.signIn('ada'))
    const stop = store.pause('replace')

    const login = visitor.does((session) => session.signIn('ada'))
    await stop.arrived
    await site.middleware.destroyAll('ada')
    stop.open()

    t.is((await login).status, 200)
  },
)

claim('a sign-in after a session that ended tells no merge of that one', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const elsewhere = (await scene.mount()).sender(await visitor.cookie())

  const login = await visitor.starts(async (session, wait) => {
    session.data.a = 2
    await wait()
    await t.throwsAsync(session.save(), { code: 'ERR_SESSION_GONE' })
    await session.signIn('ada')
  })
  // Known to this process, so that save() takes it over before it asks the store.
  await visitor.does(({ data }) => (data.b = 2))
  await elsewhere.does((session) => session.destroy())
  scene.events.length = 0
  await login.ends()

  t.deepEqual(scene.heard('merge'), [])
})

claim(
  'a logout after a sign-in that found its session replaced ends what took its place as well',
  async (t, { visitor, site }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const late = await visitor.loads(async (session) => {
      await session.signIn('ada')
      await session.destroy()
    })
    await visitor.does((session) => session.signIn('ada'))
    const parallel = await visitor.snapshot()

    t.is(maxAgeOf((await late.ends()).sid[0]), 0)
    t.is(await parallel.origin(), 'expired')
    t.deepEqual(await site.middleware.list('ada'), [])
  },
)
