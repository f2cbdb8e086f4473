import test from 'ava'
import type { SessionManager, SessionOptions } from '../../src/index.ts'
import { cookieOf, quick, type Bag } from '../support/quick.ts'

/** The most levels that one value may nest. */
const DEEPEST = 1000
/** The most that JSON of 1024 bytes, the limit of `options.device`, nests below `{"at":` and `}`. */
const DEEPEST_FACT = 508

const lists = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
const objects = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`)

interface Way {
  readonly limit: number
  readonly options?: (value: unknown) => SessionOptions<Bag>
  readonly write: (session: SessionManager<Bag>, value: unknown) => unknown
  readonly read: (session: SessionManager<Bag>) => unknown
}

const ways: Readonly<Record<string, Way>> = {
  data: {
    limit: DEEPEST,
    write: ({ data }, value) => (data['it'] = value),
    read: ({ data }) => data['it'],
  },
  'a part of data that was stored': {
    limit: DEEPEST - 1,
    write: async (session, value) => {
      session.data['it'] = { part: 1 }
      await session.save()
      ;(session.data['it'] as Bag)['part'] = value
    },
    read: ({ data }) => (data['it'] as Bag)['part'],
  },
  'a flash message': {
    limit: DEEPEST,
    write: (session, value) => session.flash('it', value),
    read: (session) => session.flash('it')[0],
  },
  'data beside a flash message': {
    limit: DEEPEST,
    write: (session, value) => {
      session.flash('other', 1)
      session.data['it'] = value
    },
    read: ({ data }) => data['it'],
  },
  'the facts of a device': {
    limit: DEEPEST_FACT,
    options: (value) => ({ device: () => ({ at: value }) }),
    write: (session) => session.signIn('ada'),
    read: ({ device }) => device?.['at'],
  },
}

for (const koaSession of [false, true]) {
  for (const [what, { limit, options, write, read }] of Object.entries(ways)) {
    const how = koaSession ? ', with koaSession' : ''
    test(`${what} nested as deep as may be stored is read in another process${how}`, async (t) => {
      const forms = limit === DEEPEST_FACT ? [lists] : [lists, objects]
      for (const make of forms) {
        const value = make(limit)
        const own: SessionOptions<Bag> = { koaSession, ...options?.(value) }
        const one = quick(own)
        const two = quick({ ...own, store: one.store })

        const written = await one.ask(undefined, (session) => write(session, value))
        t.deepEqual([written.status, one.errors], [200, []])
        const found = await two.ask(cookieOf(written), (session) => ({ origin: session.origin, value: read(session) }))

        t.is(found.result?.origin, 'resumed')
        t.is(JSON.stringify(found.result?.value), JSON.stringify(value))
      }
    })

    test(`${what} nested one level deeper is refused${how}`, async (t) => {
      const value = lists(limit + 1)
      const app = quick({ koaSession, ...options?.(value) })

      const { status } = await app.ask(undefined, (session) => write(session, value))

      t.is(status, 500)
      t.like(app.errors[0], { code: limit === DEEPEST_FACT ? 'ERR_SESSION_TOO_LARGE' : 'ERR_SESSION_VALUE' })
    })
  }
}
