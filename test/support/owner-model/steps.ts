// The steps of a handler and the calls from outside, and the expected result of each.
import { isDeepStrictEqual } from 'node:util'
import { SessionError, type SessionManager, type SessionMiddleware } from '../../../src/index.ts'
import type { Traffic } from '../model/told-store.ts'
import { NOTHING } from '../model/wishes.ts'
import type { Book } from './book.ts'
import type { Request } from './request.ts'
import { KEYS, type Call, type Data, type Errand, type Names, type Step } from './scenario.ts'

export interface Stage extends Traffic<Request> {
  readonly book: Book
  readonly now: number
}

/** Runs the steps of a request until one is refused. */
export async function play(
  stage: Stage,
  request: Request,
  session: SessionManager<Data>,
  { steps, catches }: Pick<Errand, 'steps' | 'catches'>,
): Promise<void> {
  const { book } = stage
  request.begin({ do: 'nothing' })
  const origin = request.isResumed ? 'resumed' : request.hasCookie ? 'expired' : 'new'
  book.expect(request, session.origin === origin, `the origin is ${session.origin}`)
  expectOwner(book, request, session)
  for (const step of steps) {
    request.begin(step)
    try {
      await take(stage, request, session, step)
      expectTold(book, request)
      if (request.isDestroyed && step.do !== 'destroy' && step.do !== 'wait')
        book.fail(request, 'a destroyed session was used')
    } catch (error) {
      refused(stage, request, error)
      if (!catches) throw error
    }
  }
}

/** Called after a step: events must have reported each conflict, and nothing else. */
export function expectTold(book: Book, request: Request): void {
  const [told, clashes] = [[...request.told].sort().join(), [...request.clashes].sort().join()]
  book.expect(request, told === clashes, `events told conflicts in [${told}] instead of [${clashes}]`)
}

/** The manager shows the owner that this request loaded, or stored last. */
function expectOwner(book: Book, request: Request, session: SessionManager<Data>): void {
  const { owner, authenticatedAt } = session
  const { held } = request
  const about = `${owner} since ${authenticatedAt} instead of ${held?.owner} since ${held?.authenticatedAt}`
  const apart = Math.abs((authenticatedAt ?? 0) - (held?.authenticatedAt ?? 0))
  book.expect(request, owner === held?.owner && apart < 4000, `the session shows ${about}`)
}

/** Checks that a refusal has a reason. */
function refused({ book, now }: Stage, request: Request, error: unknown): void {
  const { doing } = request
  const code = error instanceof SessionError ? error.code : String(error)
  switch (code) {
    case 'ERR_SESSION_DESTROYED':
      book.expect(request, request.isDestroyed, 'refused as destroyed')
      break
    case 'ERR_SESSION_GONE':
      book.expect(request, book.mayBeGone(request, now), 'refused as gone')
      request.isGone = true
      if (doing.do === 'reload') request.restart(request.seen)
      break
    case 'ERR_SESSION_CONFLICT':
      book.expect(request, book.mayConflict(request), 'refused as a conflict')
      // Its changes belonged into a successor, and were refused there.
      if (request.life !== undefined && request.key !== request.life.head) request.isGone = true
      break
    case 'ERR_SESSION_HEADERS_SENT':
      book.expect(request, book.mayLackCookie(request, now), 'refused as if no cookie could be sent')
      break
    default:
      book.fail(request, `refused with ${code}`)
  }
  book.expect(request, request.writes === 0, 'it was refused and stored')
  // The changes of a refused step are not tried again.
  if (
    (code !== 'ERR_SESSION_HEADERS_SENT' || doing.do !== 'regenerate') &&
    ['save', 'update', 'fail', 'regenerate'].includes(doing.do)
  ) {
    request.dropped.push(...request.pendingValues())
    request.restart(request.read ?? request.known)
  }
}

/** Thrown by the function of an update. */
class OnPurpose extends Error {}

async function take(stage: Stage, request: Request, session: SessionManager<Data>, step: Step): Promise<void> {
  const { book, schedule, now } = stage
  // The data that a handler has accessed is the data that it goes on with.
  const looked = (): Data => {
    request.hasLooked = true
    return session.data
  }
  switch (step.do) {
    case 'read': {
      const found = JSON.parse(JSON.stringify(looked())) as Data
      const expected = Object.fromEntries(
        KEYS.map((key) => [key, request.valueOf(key)] as const).filter(([, value]) => value !== undefined),
      )
      const isSame = request.isOver || isDeepStrictEqual(found, expected)
      book.expect(request, isSame, `reads ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`)
      break
    }
    case 'set':
      if (step.key === 'a') request.set('a', (looked().a = request.newValue()))
      else {
        const value = request.newValue()
        looked().b = { value }
        request.set('b', { value })
      }
      break
    case 'delete':
    case 'leave':
      Reflect.deleteProperty(looked(), step.key)
      request.set(step.key, undefined)
      break
    case 'name':
      looked().user = { name: step.owner }
      request.set('user', { name: step.owner })
      break
    case 'rename': {
      const { user } = looked()
      const expected = request.valueOf('user') as Data['user']
      if (user !== undefined && expected !== undefined) user.name = expected.name = step.owner
      break
    }
    case 'move': {
      // Looking at an object holds it, so the other one must not be looked at.
      const held = looked()[step.key] as { city?: string; value?: string } | undefined
      const expected = request.valueOf(step.key) as typeof held
      if (held === undefined || expected === undefined) break
      const name = step.key === 'b' ? 'value' : 'city'
      held[name] = expected[name] = request.newValue()
      break
    }
    case 'alias':
      looked().alias = step.owner
      request.set('alias', step.owner)
      break
    case 'assign': {
      const user = step.owner === undefined ? {} : { user: { name: step.owner } }
      const a = request.newValue()
      looked()
      session.data = structuredClone({ a, ...user })
      request.replaceAll({ a, ...user })
      break
    }
    case 'clear':
      looked()
      session.clear()
      request.replaceAll({})
      break
    case 'wait':
      await schedule.wait('handler')
      break
    case 'put': {
      const value = request.newValue()
      session.flash(step.key, value)
      request.put(step.key, value)
      break
    }
    case 'take': {
      const messages = session.flash(step.key)
      const expected = request.take(step.key)
      const isSame = request.isOver || isDeepStrictEqual(messages, expected)
      book.expect(request, isSame, `flash gave ${String(messages)} instead of ${String(expected)}`)
      break
    }
    case 'save':
      await session.save()
      book.expect(request, !request.hasPending && request.key !== undefined, 'it resolved without being stored')
      if (request.writes > 0) expectOwner(book, request, session)
      break
    case 'update':
      await session.update((given) => change(stage, given, step.names, step.waits))
      book.expect(request, request.writes === 1, 'it resolved without being stored')
      expectOwner(book, request, session)
      break
    case 'fail':
      await fails(stage, request, session)
      break
    case 'reload':
      await session.reload()
      request.restart(request.read ?? (request.key === undefined ? NOTHING : request.seen))
      break
    case 'regenerate':
      await session.regenerate({ keep: step.keep })
      book.expect(request, request.writes === 1, 'it resolved without being stored')
      expectOwner(book, request, session)
      break
    case 'maxAge':
      session.maxAge = `${step.minutes}m`
      request.maxAge = step.minutes * 60_000
      break
    case 'destroy': {
      const leads = request.key !== undefined && book.leads(request.key, now)
      await session.destroy()
      request.isDestroyed = true
      if (request.life !== undefined && leads)
        book.expect(request, !book.isLive(request.life, stage.now), 'the session should have ended')
      break
    }
  }
}

/** The function of an update. */
async function change({ schedule }: Stage, data: Data, names: Names, waits: boolean): Promise<void> {
  if (waits) await schedule.wait('handler')
  data.n = (data.n ?? 0) + 1
  if (names === null) delete data.user
  else if (names !== undefined) data.user = { name: names }
}

async function fails({ book }: Stage, request: Request, session: SessionManager<Data>): Promise<void> {
  try {
    await session.update((data) => {
      data.user = { name: 'bob', city: request.newValue() }
      request.dropped.push(String(data.user.city))
      throw new OnPurpose()
    })
    book.fail(request, 'the error of its function was swallowed')
  } catch (error) {
    if (!(error instanceof OnPurpose)) throw error
  }
}

// ---- from outside

/** Makes a call from outside of requests. `key` is the public id of the session that it names. */
export async function callFromOutside(
  stage: Stage,
  request: Request,
  sessions: SessionMiddleware<Data>,
  call: Call,
  key: string | undefined,
): Promise<void> {
  const { book } = stage
  const { owner, asksOwner, names, waits } = call
  request.begin({ do: 'call', call })
  const began = book.turn
  const before = book.ownedSince(owner, began, stage.now)
  request.life = book.lifeOf(key)
  const { life } = request
  const given = asksOwner ? { owner } : {}
  const fn = (data: Data): Promise<void> => change(stage, data, names, waits)
  /** Sessions that were that owner's all the time. */
  const stayed = (): typeof before => book.ownedSince(owner, began, stage.now).filter((one) => before.includes(one))
  try {
    switch (call.do) {
      case 'update':
        if (key === undefined) return
        await sessions.update(key, fn, given)
        book.expect(request, request.changed.length === 1, `it resolved and was stored ${request.changed.length} times`)
        break
      case 'destroy': {
        if (key === undefined || life === undefined) return
        const leads = book.leads(key, stage.now)
        const hasEnded = await sessions.destroy(key, given)
        book.expect(request, hasEnded === request.ended.length > 0, `it told ${String(hasEnded)}`)
        const isMeant = leads && (!asksOwner || stayed().includes(life))
        book.expect(request, !isMeant || !book.isLive(life, stage.now), 'the session lives on')
        break
      }
      case 'updateAll': {
        const done = await sessions.updateAll(owner, fn)
        for (const one of stayed()) {
          const times = request.changed.filter((other) => other === one).length
          book.expect(request, times === 1, `a session was updated ${times} times`)
        }
        book.expect(request, done >= new Set(request.changed).size, `it told ${done} of ${request.changed.length}`)
        break
      }
      case 'destroyAll':
        await sessions.destroyAll(owner)
        book.expect(request, stayed().length === 0, 'a session lives on')
        break
      case 'list': {
        const found = (await sessions.list(owner)).map(({ publicId }) => book.lifeOf(publicId))
        book.expect(
          request,
          stayed().every((one) => found.includes(one)),
          'a session is not listed',
        )
        const known = found.filter((one) => one !== undefined)
        book.expect(request, new Set(known).size === known.length, 'a session is listed twice')
        break
      }
    }
  } catch (error) {
    const code = error instanceof SessionError ? error.code : String(error)
    if (code === 'ERR_SESSION_HEADERS_SENT') {
      // Without `user`, `alias` may name somebody else.
      const mayName = names !== undefined && (names !== null || book.by === 'either')
      book.expect(request, mayName, 'refused though it signs nobody in')
    } else if (code === 'ERR_SESSION_GONE' && call.do === 'update') {
      const isTheirs = !asksOwner || (life !== undefined && stayed().includes(life))
      const hasStayed = life !== undefined && life.head === key && book.isLive(life, stage.now)
      book.expect(request, !(isTheirs && hasStayed), 'refused as gone')
    } else book.fail(request, `refused with ${code}`)
    if (call.do === 'update') book.expect(request, request.changed.length === 0, 'it was refused and stored')
  }
}
