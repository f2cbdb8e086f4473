// Sessions that one version of this package writes into a store, and their state when they are read. scripts/fixtures.js writes and
// reads them with a release, test/migrate/fixtures.test.ts with the current source.
import { createHash } from 'node:crypto'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import * as devalue from 'devalue'
import Keygrip from 'keygrip'
import Koa from 'koa'
import type { session as currentSession, SessionManager, SessionMiddleware, SessionOptions } from '../../src/index.ts'

type Bag = Record<string, unknown>
type Session = typeof currentSession
type Store = NonNullable<SessionOptions['store']>

/** The instant at which the first of them is written. */
const BEGIN = 1_800_000_000_000
const MINUTE = 60_000

const KEYS = ['a secret that signed the cookies of a release', 'an older one that signed cookies before it']
const ENCRYPTION_KEYS = ['a secret that encrypted the sessions of a release']

/** The options with which they are written and read. */
const groups: Readonly<Record<string, SessionOptions<Bag>>> = {
  plain: {},
  encrypted: { encryptionKeys: ENCRYPTION_KEYS },
  'own codec': { codec: devalue },
  'encrypted, own codec': { codec: devalue, encryptionKeys: ENCRYPTION_KEYS },
  rolling: { maxAge: '30d', rolling: true },
  'a Keygrip of SHA-1': { keys: new Keygrip([...KEYS]) },
  'ctx.session': { koaSession: true, owner: (data) => (data['passport'] as { user?: string } | undefined)?.user },
}

/** One written session. */
export interface Written {
  readonly group: string
  readonly name: string
  readonly cookie: string
  /** When it is read. */
  readonly at: number
  /** Its state at that instant. */
  readonly state: State
}

type State = Readonly<Record<string, unknown>>

type Handler = (session: SessionManager<Bag>) => unknown

/** An app of some version over a store, called without a socket, at instants that the caller sets. */
class Site {
  now = BEGIN
  readonly middleware: SessionMiddleware<Bag>
  readonly #callback: ReturnType<Koa['callback']>
  readonly #handlers = new WeakMap<IncomingMessage, Handler>()

  constructor(session: Session, options: SessionOptions<Bag>) {
    this.middleware = session<Bag>({ keys: KEYS, sweepInterval: false, logger: {}, now: () => this.now, ...options })
    const app = new Koa()
    app.silent = true
    app.use(this.middleware)
    app.use(async (ctx) => {
      await this.#handlers.get(ctx.req)?.(ctx.state.session as unknown as SessionManager<Bag>)
      ctx.body = ''
    })
    this.#callback = app.callback()
  }

  /** The Cookie header after the response. */
  async ask(cookie: string, handler: Handler): Promise<string> {
    const request = new IncomingMessage(new Socket())
    request.method = 'GET'
    request.url = '/'
    if (cookie !== '') request.headers.cookie = cookie
    const response = new ServerResponse(request)
    let error: unknown
    this.#handlers.set(request, async (session) => {
      try {
        await handler(session)
      } catch (thrown) {
        error = thrown
      }
    })
    // The callback returns a promise of the response, which Koa's types do not say.
    await this.#callback(request, response)
    if (error !== undefined || response.statusCode !== 200)
      throw new Error(`a request of the fixtures is answered ${response.statusCode}`, { cause: error })
    const [line] = [response.getHeader('set-cookie') ?? []].flat() as string[]
    return line === undefined ? cookie : (line.split(';')[0] ?? '')
  }

  async state(cookie: string): Promise<State> {
    let state: State = {}
    await this.ask(cookie, (session) => {
      const { origin, owner, publicId, createdAt, lastSeenAt, expiresAt, authenticatedAt, maxAge } = session
      const [data, flash] = [devalue.stringify({ ...session.data }), session.flash('notice')]
      const isNew = origin !== 'resumed'
      state = isNew
        ? { origin, data }
        : { origin, owner, publicId, createdAt, lastSeenAt, expiresAt, authenticatedAt, maxAge, data, flash }
    })
    // As in JSON, without undefined fields.
    return JSON.parse(JSON.stringify(state)) as State
  }
}

type Made = readonly [cookie: string, minutes: number]

/** Each creates a session, and returns its cookie and how many minutes after the beginning it is read. */
const scenes: Readonly<Record<string, (site: Site, sample: () => Bag) => Promise<Made>>> = {
  async 'of a visitor'(site, sample) {
    return [await site.ask('', (session) => (session.data = sample())), 30]
  },
  async 'that was changed, and used later'(site, sample) {
    const cookie = await site.ask('', (session) => (session.data = sample()))
    site.now += MINUTE
    await site.ask(cookie, ({ data }) => delete data['views'])
    site.now += 40 * MINUTE
    return [await site.ask(cookie, ({ data }) => data), 60]
  },
  async 'with messages for a later request'(site) {
    const cookie = await site.ask('', (session) => {
      session.flash('notice', 'one')
      session.flash('notice', { two: [2] })
    })
    return [cookie, 1]
  },
  async 'with a lifetime of its own'(site) {
    const cookie = await site.ask('', ({ data }) => (data['views'] = 1))
    site.now += 5 * MINUTE
    await site.ask(cookie, (session) => (session.maxAge = '7d'))
    return [cookie, 2 * 24 * 60]
  },
  async 'that went on under another id, by the new one'(site, sample) {
    const cookie = await site.ask('', (session) => (session.data = sample()))
    site.now += 3 * MINUTE
    return [await site.ask(cookie, (session) => session.regenerate()), 4]
  },
  async 'that went on under another id, by the old one'(site) {
    const cookie = await site.ask('', ({ data }) => (data['views'] = 1))
    site.now += 3 * MINUTE
    await site.ask(cookie, (session) => session.regenerate())
    return [cookie, 3.5]
  },
  async 'that was destroyed'(site) {
    const cookie = await site.ask('', ({ data }) => (data['views'] = 1))
    await site.ask(cookie, (session) => session.destroy())
    return [cookie, 0.5]
  },
  async 'that is over by its age'(site) {
    return [await site.ask('', ({ data }) => (data['views'] = 1)), 400 * 24 * 60 + 1]
  },
}

/** Where `signIn` names the owner. */
const signedIn: typeof scenes = {
  async 'of an owner'(site, sample) {
    const cookie = await site.ask('', async (session) => {
      session.data = sample()
      await session.signIn('ada')
    })
    return [cookie, 10]
  },
  async 'of an owner who was a visitor before, with all that a session can have'(site, sample) {
    const cookie = await site.ask('', (session) => (session.data = sample()))
    site.now += 10 * MINUTE
    const theirs = await site.ask(cookie, async (session) => {
      await session.signIn('Ada Lovelace, ünïcode ✓')
      session.maxAge = '3d'
      session.flash('notice', 'welcome')
    })
    site.now += 24 * 60 * MINUTE
    await site.ask(theirs, ({ data }) => (data['later'] = true))
    return [theirs, 2 * 24 * 60]
  },
}

/** Where the data names the owner. */
const ownedByData: typeof scenes = {
  async 'of a user of passport'(site, sample) {
    const cookie = await site.ask('', (session) => (session.data = { ...sample(), passport: { user: 'grace' } }))
    return [cookie, 10]
  },
}

const scenesOf = (group: string): typeof scenes => ({
  ...scenes,
  ...(group === 'ctx.session' ? ownedByData : signedIn),
})

function sampleOf({ codec }: SessionOptions<Bag>): Bag {
  const plain = {
    views: 3,
    text: 'ünïcode ✓ \u2028 "\\ 😀',
    list: [1, { deep: [null, true] }, []],
    empty: {},
    n: 1.5e300,
  }
  if (codec === undefined) return plain
  return { ...plain, day: new Date(BEGIN), map: new Map([['a', new Set([1])]]), big: 2n ** 70n }
}

/** Writes all sessions into a store with a version's `session`, and returns the state of each when it is read again. */
export async function write(session: Session, store: Store, then: () => Promise<void>): Promise<Written[]> {
  const made: Omit<Written, 'state'>[] = []
  let ids = 0
  for (const [group, options] of Object.entries(groups)) {
    for (const [name, scene] of Object.entries(scenesOf(group))) {
      const generateId = (): string => createHash('sha256').update(`fixture ${++ids}`).digest('base64url').slice(0, 32)
      const [cookie, minutes] = await scene(new Site(session, { ...options, store, generateId }), () =>
        sampleOf(options),
      )
      made.push({ group, name, cookie, at: BEGIN + minutes * MINUTE })
    }
  }
  await then()
  const written: Written[] = []
  for (const one of made) written.push({ ...one, state: await read(session, store, one) })
  return written
}

type Kept = Pick<Written, 'group' | 'cookie' | 'at'>

function siteOf(session: Session, store: Store, { group, at }: Kept): Site {
  const site = new Site(session, { ...groups[group], store })
  site.now = at
  return site
}

/** The state of one session, as a version's `session` reads it by its cookie. */
export async function read(session: Session, store: Store, kept: Kept): Promise<State> {
  return siteOf(session, store, kept).state(kept.cookie)
}

/** Adds a key to one session, and returns the session's state in the next request. */
export async function change(session: Session, store: Store, kept: Kept): Promise<State> {
  const site = siteOf(session, store, kept)
  const next = await site.ask(kept.cookie, ({ data }) => (data['added'] = 'by another version'))
  return site.state(next)
}
