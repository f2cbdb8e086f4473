// Handlers that answer by themselves: past Koa, or before the chain returns.
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import type { Context } from 'koa'
import { mounted, valueIn, type Handler } from '../support/mounted.ts'

const look: Handler = ({ data, origin }) => [origin, data]

const ways: Record<string, Handler> = {
  'ctx.respond = false and res.end': (_session, ctx) => {
    ctx.respond = false
    ctx.status = 200
    ctx.res.end('own')
  },
  'res.write before the chain returns': (_session, ctx) => {
    ctx.respond = false
    ctx.status = 200
    ctx.res.write('ow')
    ctx.res.end('n')
  },
  'res.writeHead with headers': (_session, ctx) => {
    ctx.respond = false
    ctx.res.writeHead(200, { 'Content-Type': 'text/plain', Vary: 'Accept' }).end('own')
  },
  'res.writeHead with a flat list': (_session, ctx) => {
    ctx.respond = false
    ctx.res.writeHead(200, 'Fine', ['Content-Type', 'text/plain', 'Vary', 'Accept']).end('own')
  },
  'res.flushHeaders': (_session, ctx) => {
    ctx.respond = false
    ctx.status = 200
    ctx.res.flushHeaders()
    ctx.res.end('own')
  },
}

/** Answers without Koa, at once. */
function answerAlone(ctx: Context): void {
  ctx.respond = false
  ctx.res.end('own')
}

for (const [way, answer] of Object.entries(ways)) {
  test(`with ${way} the cookie goes out with the headers, and data is committed when the chain returns`, async (t) => {
    const app = await mounted(
      t,
      {},
      {
        '/': async (session, ctx) => {
          session.data.n = 1
          await answer(session, ctx)
          session.data.n = 2
        },
        '/look': look,
      },
    )
    const browser = app.browser()
    const { status, body, setCookie, headers } = await browser.get('/')

    t.deepEqual([status, body, setCookie.length], [200, 'own', 1])
    t.regex(headers.get('vary') ?? '', /^(Accept, )?Cookie$/)
    t.is(headers.get('cache-control'), 'no-store')
    t.is((await browser.get('/look')).body, '["resumed",{"n":2}]')
    t.deepEqual(app.errors, [])
  })
}

test('where nothing is to be kept when the headers leave, no cookie goes out, and a later change is refused', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }, ctx) => {
        answerAlone(ctx)
        data.n = 1
      },
    },
  )
  const { setCookie } = await app.browser().get('/')

  t.deepEqual(setCookie, [])
  t.like(app.errors[0], { code: 'ERR_SESSION_HEADERS_SENT' })
  t.deepEqual(app.store.counted(), {})
})

test('a new session that is saved after the headers have left throws and stores nothing', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session, ctx) => {
        answerAlone(ctx)
        session.data.n = 1
        await t.throwsAsync(session.save(), { code: 'ERR_SESSION_HEADERS_SENT' })
        await t.throwsAsync(
          session.update((data) => (data.n = 1)),
          { code: 'ERR_SESSION_HEADERS_SENT' },
        )
        await t.throwsAsync(session.regenerate(), { code: 'ERR_SESSION_HEADERS_SENT' })
        await t.throwsAsync(session.signIn('ada'), { code: 'ERR_SESSION_HEADERS_SENT' })
        session.clear()
      },
    },
  )
  await app.browser().get('/')

  t.deepEqual(app.store.counted(), {})
})

test('a stored session may be changed after the headers have left', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/set': ({ data }) => (data.n = 1),
      '/': ({ data }, ctx) => {
        answerAlone(ctx)
        data.n = 2
      },
      '/look': look,
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  await browser.get('/')

  t.is((await browser.get('/look')).body, '["resumed",{"n":2}]')
})

test('a session that is destroyed after the headers have left is gone, though its cookie cannot be cleared', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/set': ({ data }) => (data.n = 1),
      '/': async (session, ctx) => {
        answerAlone(ctx)
        await session.destroy()
      },
      '/look': look,
    },
  )
  const browser = app.browser()
  await browser.get('/set')

  t.deepEqual((await browser.get('/')).setCookie, [])
  t.is((await browser.get('/look')).body, '["expired",{}]')
})

test('a maxAge set before the headers leave is in the cookie that goes out with them', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': (session, ctx) => {
        session.maxAge = '1h'
        answerAlone(ctx)
      },
      '/look': ({ maxAge }) => maxAge,
    },
  )
  const browser = app.browser()
  const { setCookie } = await browser.get('/')

  t.regex(setCookie[0] ?? '', /; Max-Age=3600;/)
  t.is((await browser.get('/look')).body, '3600000')
})

for (const rolling of [false, true])
  test(`a maxAge of a stored session, set before the headers leave, is in their cookie, rolling: ${rolling}`, async (t) => {
    let now = Date.now()
    const app = await mounted(
      t,
      { now: () => now, ...(rolling && { maxAge: '1d', rolling }) },
      {
        '/in': (session) => session.signIn('ada'),
        '/': (session, ctx) => {
          session.maxAge = '20d'
          answerAlone(ctx)
        },
        '/look': ({ maxAge, owner }) => [maxAge, owner],
      },
    )
    const browser = app.browser()
    await browser.get('/in')
    // A use, but none that is due to be recorded.
    now += 60_000

    t.regex((await browser.get('/')).setCookie.join(), /^sid=[^,]*; Max-Age=1728000;[^,]*$/)
    t.is((await browser.get('/look')).body, '[1728000000,"ada"]')
  })

test('a maxAge set by a request that followed a parallel sign-in sends no cookie: the id is not its own', async (t) => {
  const app = await mounted(
    t,
    { owner: ({ name }) => name },
    {
      '/set': ({ data }) => void (data.n = 1),
      '/in': ({ data }) => void (data.name = 'ada'),
      '/': async (session, ctx) => {
        await app.browser().send('/in', ctx.get('cookie'))
        session.data.name = 'ada'
        await session.save()
        session.maxAge = '20d'
        answerAlone(ctx)
        return undefined
      },
    },
  )
  const browser = app.browser()
  await browser.get('/set')

  t.deepEqual((await browser.get('/')).setCookie, [])
  t.is((await app.middleware.list('ada')).length, 1)
})

test('what was stored before the headers leave sends the cookie of what was stored', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session, ctx) => {
        await session.signIn('ada')
        ctx.respond = false
        ctx.res.end(session.id)
      },
      '/look': ({ owner }) => owner,
    },
  )
  const browser = app.browser()
  const { body, setCookie } = await browser.get('/')

  t.is(valueIn(setCookie[0]).split('.')[0], body)
  t.is((await browser.get('/look')).body, 'ada')
})

test('lazy false sends its cookie where the handler answers by itself and never looks', async (t) => {
  const app = await mounted(
    t,
    { lazy: false },
    {
      '/': (_session, ctx) => {
        answerAlone(ctx)
      },
      '/look': ({ origin }) => origin,
    },
  )
  const browser = app.browser()

  t.is((await browser.get('/')).setCookie.length, 1)
  t.is((await browser.get('/look')).body, 'resumed')
})

test('a cookie that the app gives to writeHead stays beside ours', async (t) => {
  for (const headers of [{ 'Set-Cookie': ['a=1', 'b=2'] }, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']]) {
    const app = await mounted(
      t,
      {},
      {
        '/': ({ data }, ctx) => {
          data.n = 1
          ctx.respond = false
          ctx.res.writeHead(200, headers as string[]).end()
        },
      },
    )

    t.deepEqual(
      (await app.browser().get('/')).setCookie.map((line) => line.split('=')[0]),
      ['a', 'b', 'sid'],
    )
  }
})

test('an error after the headers have left commits nothing more', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/set': ({ data }) => (data.n = 1),
      '/': ({ data }, ctx) => {
        answerAlone(ctx)
        data.n = 2
        throw new Error('too late')
      },
      '/look': look,
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  await browser.get('/').catch(() => undefined)

  t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
})

test('an answer whose headers Node refuses keeps the cookie for the error that Koa answers', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session, ctx) => {
        await session.signIn('ada')
        ctx.body = 'done'
        ctx.message = 'no\nmessage'
      },
    },
  )
  const { status, setCookie } = await app.browser().get('/')

  t.deepEqual([status, setCookie.length], [500, 1])
})

test('a pipe into the response carries the cookie', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async ({ data }, ctx) => {
        data.n = 1
        ctx.respond = false
        await new Promise<void>((resolve) => {
          ctx.res.once('finish', resolve)
          Readable.from(['ow', 'n']).pipe(ctx.res)
        })
      },
    },
  )
  const { body, setCookie } = await app.browser().get('/')

  t.deepEqual([body, setCookie.length], ['own', 1])
})

/** Leaves the answer to the test. */
function answersLater(ctx: Context, seen: ServerResponse[]): void {
  ctx.respond = false
  seen.push(ctx.res)
}

test('headers that leave while the last commit stores a new session take its cookie along', async (t) => {
  const seen: ServerResponse[] = []
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }, ctx) => {
        data.n = 1
        answersLater(ctx, seen)
      },
      '/look': look,
    },
  )
  const browser = app.browser()
  const creating = app.store.pause('create')
  const answer = browser.get('/')
  await creating.arrived
  seen[0]?.end('own')
  creating.open()

  t.is((await answer).setCookie.length, 1)
  t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
  t.deepEqual(app.errors, [])
})

test('headers that leave while the last commit moves the expiry take the renewed cookie along', async (t) => {
  const seen: ServerResponse[] = []
  let time = Date.now()
  const app = await mounted(
    t,
    { maxAge: '1h', rolling: true, now: () => time },
    { '/set': ({ data }) => (data.n = 1), '/': (_session, ctx) => answersLater(ctx, seen) },
  )
  const browser = app.browser()
  await browser.get('/set')
  time += 30 * 60_000
  const touching = app.store.pause('touch')
  const answer = browser.get('/')
  await touching.arrived
  seen[0]?.end('own')
  touching.open()

  t.regex((await answer).setCookie.join(), /; Max-Age=3600;/)
})

test('a new session whose headers leave without its cookie while it is stored is told, and not stored', async (t) => {
  const verbs: Record<string, Handler> = {
    signIn: (session) => session.signIn('ada'),
    update: (session) => session.update((data) => (data.n = 1)),
  }
  for (const [verb, call] of Object.entries(verbs)) {
    const seen: ServerResponse[] = []
    const app = await mounted(
      t,
      {},
      {
        '/': async (session, ctx) => {
          answersLater(ctx, seen)
          await call(session, ctx)
        },
      },
    )
    const creating = app.store.pause('create')
    const answer = app.browser().get('/')
    await creating.arrived
    seen[0]?.end('own')
    creating.open()

    t.deepEqual((await answer).setCookie, [], verb)
    t.like(app.errors[0], { code: 'ERR_SESSION_HEADERS_SENT' }, verb)
    t.deepEqual(await app.store.scan(Date.now(), 10, undefined), { records: [], cursor: undefined }, verb)
  }
})

test('an id whose headers have left while it is stored is not exchanged for another one', async (t) => {
  const seen: ServerResponse[] = []
  let letter = 'a'
  const app = await mounted(
    t,
    { generateId: () => letter.repeat(32) },
    {
      '/set': ({ data }) => (data.n = 1),
      '/': ({ data }, ctx) => {
        data.n = 2
        answersLater(ctx, seen)
      },
    },
  )
  await app.browser().get('/set')
  const creating = app.store.pause('create')
  const answer = app.browser().get('/')
  await creating.arrived
  letter = 'b'
  seen[0]?.end('own')
  creating.open()
  await answer

  t.like(app.errors[0], { code: 'ERR_SESSION_STORE' })
  t.deepEqual(app.store.counted(), { create: 2 })
})

test('headers that leave while a sign-in by data stores its new record leave the session under its old id', async (t) => {
  const seen: ServerResponse[] = []
  const app = await mounted(
    t,
    { owner: ({ name }) => name },
    {
      '/set': ({ data }) => (data.n = 1),
      '/': ({ data }, ctx) => {
        data.name = 'ada'
        answersLater(ctx, seen)
      },
      '/look': look,
    },
  )
  const browser = app.browser()
  await browser.get('/set')
  const creating = app.store.pause('create')
  const answer = browser.get('/')
  await creating.arrived
  seen[0]?.end('own')
  creating.open()

  t.deepEqual((await answer).setCookie, [])
  t.is((await browser.get('/look')).body, '["resumed",{"n":1}]')
  t.like(app.errors[0], { code: 'ERR_SESSION_HEADERS_SENT' })
  t.deepEqual(await app.middleware.list('ada'), [])
})

const verbs: Record<string, Handler> = {
  'an owner in data': ({ data }) => (data.name = 'ada'),
  'signIn()': (session) => session.signIn('ada'),
  'regenerate()': (session) => session.regenerate(),
}
for (const [verb, call] of Object.entries(verbs)) {
  test(`headers that leave while the old id is replaced are told of: ${verb}`, async (t) => {
    const seen: ServerResponse[] = []
    const app = await mounted(t, verb === 'signIn()' ? {} : { owner: ({ name }) => name }, {
      '/set': ({ data }) => (data.n = 1),
      '/': async (session, ctx) => {
        answersLater(ctx, seen)
        await call(session, ctx)
      },
    })
    const browser = app.browser()
    await browser.get('/set')
    const replacing = app.store.pause('replace')
    const answer = browser.get('/')
    await replacing.arrived
    seen[0]?.end('own')
    replacing.open()

    t.deepEqual((await answer).setCookie, [])
    for (let tries = 0; tries < 1000 && app.errors.length === 0; tries++) await nextTurn()
    t.like(app.errors[0], { code: 'ERR_SESSION_HEADERS_SENT' })
    // No session that no browser knows.
    t.deepEqual(await app.middleware.list('ada'), [])
  })
}
