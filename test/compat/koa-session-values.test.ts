// What koa-session stores and plain JSON refuses.
import test from 'ava'
import { answering, bagOf, ecosystem, visitorOf, type Bag } from '../support/ecosystem.ts'

test('with koaSession data is what JSON.stringify makes of it', async (t) => {
  class Row {
    id = 1
    cached = (): number => 2
  }
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => {
        Object.assign(bagOf(ctx), {
          at: new Date(0),
          user: new Row(),
          fn: () => 1,
          list: [undefined, NaN],
          m: new Map(),
        })
        return String((bagOf(ctx)['at'] as Date).getTime())
      },
      '/assign': (ctx) => void (visitorOf(ctx).session = new Row() as never),
      '/show': (ctx) => JSON.stringify(bagOf(ctx)),
      '/cycle': (ctx) => {
        const self: Bag = bagOf(ctx)
        self['deep'] = { self: [] as unknown[] }
        ;(self['deep'] as { self: unknown[] }).self.push(self['deep'])
      },
      '/big': (ctx) => void (bagOf(ctx)['big'] = 1n),
    }),
  )
  const browser = app.browser()

  t.is((await browser.get('/')).body, '0', 'as it was given, until the request is over')
  t.is((await browser.get('/show')).body, '{"at":"1970-01-01T00:00:00.000Z","user":{"id":1},"list":[null,null],"m":{}}')
  for (const path of ['/cycle', '/big']) t.is((await browser.get(path)).status, 500)
  t.like(app.errors.at(-1), { code: 'ERR_SESSION_VALUE' })
  await browser.get('/assign')
  t.is((await browser.get('/show')).body, '{"id":1}')
})

test('with koaSession a toJSON that writes to the session fails no request, and what it wrote is stored', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => {
        const bag = bagOf(ctx)
        bag['seen'] = {
          toJSON() {
            bag['told'] = 'yes'
            return 'text'
          },
        }
      },
      '/show': (ctx) => JSON.stringify(bagOf(ctx)),
    }),
  )
  const browser = app.browser()

  t.is((await browser.get('/')).status, 200)
  t.is((await browser.get('/show')).body, '{"seen":"text","told":"yes"}')
})

test('with koaSession writing the same value again is no change', async (t) => {
  const app = await ecosystem(
    t,
    {},
    answering({
      '/': (ctx) => void Object.assign(bagOf(ctx), { at: new Date(0), fn: () => 1, n: NaN, list: [undefined] }),
    }),
  )
  const browser = app.browser()
  await browser.get('/')
  app.store.counted()
  await browser.get('/')

  t.is(app.store.counted().replace, undefined)
})

test('with koaSession a codec of the app keeps its own rules', async (t) => {
  const app = await ecosystem(t, { codec: JSON }, answering({ '/': (ctx) => void (bagOf(ctx)['at'] = new Date(0)) }))

  t.is((await app.browser().get('/')).status, 500)
  t.like(app.errors[0], { code: 'ERR_SESSION_VALUE' })
})

for (const koaSession of [true, false]) {
  test(`with koaSession ${koaSession} assigning ctx.state.session is an error that says what to do`, async (t) => {
    const app = await ecosystem(
      t,
      { koaSession },
      answering({
        '/null': (ctx) => void (ctx.state.session = null as never),
        '/object': (ctx) => void (ctx.state.session = { a: 1 } as never),
        '/same': (ctx) => {
          Object.assign(ctx.state, { ...ctx.state })
          return Object.keys(ctx.state).join()
        },
      }),
    )
    const browser = app.browser()

    for (const path of ['/null', '/object']) t.is((await browser.get(path)).status, 500)
    for (const error of app.errors)
      t.regex(String(error), /^TypeError.*ctx\.state\.session cannot be assigned: session\.data = .*destroy\(\)/)
    t.is((await browser.get('/same')).body, 'session')
  })
}
