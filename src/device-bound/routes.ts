// The two routes at which a browser registers its key and refreshes its proof. The browser sends these requests by itself, and
// no handler of the app sees them. They are not user activity: what they store moves no timeout.
import type { Context } from 'koa'
import { SessionError, storeFailure } from '../errors.ts'
import { recordOf, type Binding, type Metadata } from '../record/record.ts'
import type { Core, RequestInfo } from '../session/core.ts'
import { changeNewest } from '../session/retry.ts'
import type { Replaced } from '../store.ts'
import { boundCookieInstruction, boundCookieLine } from '../cookie/bound-cookie.ts'
import { challengeInstant, newChallenge } from './challenge.ts'
import { findSession, foundIn, type Found } from './find-session.ts'
import type { BindingSettings } from './policy.ts'
import { isSignedBy, parseProof, unquoted, type Proof, type PublicKey } from './proof.ts'

type Route = 'register' | 'refresh'

/** The middlewares that a request has passed, in whichever app, by their paths. */
const passed = new WeakMap<object, Map<string, BindingSettings>>()

const ROUTES: readonly Route[] = ['register', 'refresh']

/** A request that came through Koa's chain. */
type RouteInfo = RequestInfo & { readonly ctx: Context }

/** The stored state of a session, and whether this request wrote it. */
interface Outcome extends Found {
  readonly isWritten: boolean
}

/** The binding to confirm to the browser, or the status of an empty response. */
type Answer = Binding | 401 | 403

/** Returns the metadata to store after a proof; `undefined` if nothing is to be stored. */
type Decide = (metadata: Metadata, isFollowed: boolean) => Metadata | undefined

/**
 * Answers a request for one of the two routes, wherever the middleware is mounted; gives `undefined` for any other request.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` (503), at which the browser keeps its key.
 */
export type DeviceRoutes = (ctx: Context) => Promise<void> | undefined

export function deviceRoutes(core: Core, settings: BindingSettings): DeviceRoutes {
  const answer = async (ctx: Context, route: Route): Promise<void> => {
    const info = { ...core.requests.infoOf(ctx.req, ctx, true), ctx }
    ctx.set('Cache-Control', 'no-store')
    if (ctx.method !== 'POST') ctx.set('Allow', 'POST')
    const result = ctx.method === 'POST' ? await core.store.during(() => serve(core, info, route)) : 405
    if (typeof result === 'object') confirm(core, settings, info, result)
    else {
      ctx.status = result
      ctx.body = ''
    }
  }
  return (ctx) => {
    // What a browser sends to that path reaches only the outer one, also where it skips this request.
    const around = passed.get(ctx.req) ?? new Map<string, BindingSettings>()
    passed.set(ctx.req, around)
    if ((around.get(settings.path) ?? settings) !== settings)
      core.events.notice(
        'DEVICE_BOUND_PATH',
        'the session() around this one answers browsers at the same deviceBound.path, so no session of this one is ever bound: give each a path of its own',
      )
    else around.set(settings.path, settings)
    if (!ctx.originalUrl.startsWith(settings.path)) return
    const [asked] = ctx.originalUrl.split('?', 1)
    const route = ROUTES.find((one) => asked === `${settings.path}/${one}`)
    return route && answer(ctx, route)
  }
}

async function serve(core: Core, info: RouteInfo, route: Route): Promise<Answer> {
  // Over plain HTTP no session is bound.
  if (!info.ctx.secure) return 401
  const { headers } = info.request
  const named = unquoted(headers['sec-secure-session-id'])
  const header = headers['secure-session-response']
  const proof = parseProof(header)
  // The session that the browser means: one of several cookies may name another session, planted or left over.
  const found = await findSession(core, info, ({ stored: { metadata } }) =>
    route === 'refresh'
      ? isNamed(metadata.binding, named)
      : registeredKey(info, proof, metadata.registration, core.settings.now()) !== undefined,
  )
  if (found?.record.owner === undefined) return 401
  if (route === 'refresh') return refresh(core, info, found, named, proof, header !== undefined)
  // No browser omits this header, but a form on another page does: it must not use the try up.
  return header === undefined ? 403 : register(core, info, found, proof)
}

/**
 * Each sign-in allows one try, with the challenge in the response of that sign-in: a thief who has only the cookie does not
 * have it. A refusal sends no new challenge.
 */
async function register(core: Core, info: RouteInfo, found: Found, proof: Proof | undefined): Promise<Answer> {
  const outcome = await store(core, found, ({ registration: id, ...metadata }, isFollowed) => {
    if (id === undefined) return
    const now = core.settings.now()
    const key = registeredKey(info, proof, id, now)
    // The id is from before the sign-in, perhaps planted or stolen: without the challenge it must not use the try up.
    if (key === undefined && isFollowed) return
    return {
      ...metadata,
      registration: undefined,
      binding: key && { id, ...key, boundAt: now, provenAt: now },
    }
  })
  if (outcome === undefined || (outcome.isFollowed && !outcome.isWritten)) return 401
  const { binding } = outcome.stored.metadata
  if (!outcome.isWritten || binding === undefined) return refuse(core, outcome)
  core.events.tell('bind', outcome.record)
  return binding
}

/** A valid proof renews the bound cookie. Otherwise nothing is stored: a session with that binding gets a challenge, others a 401. */
async function refresh(
  core: Core,
  info: RouteInfo,
  found: Found,
  named: string | undefined,
  proof: Proof | undefined,
  hasAnswered: boolean,
): Promise<Answer> {
  const outcome = await store(core, found, (metadata) => {
    const known = metadata.binding
    if (proof === undefined || !isNamed(known, named)) return
    const provenAt = refreshedAt(info, proof, known, core.settings.now())
    return provenAt === undefined ? undefined : { ...metadata, binding: { ...known, provenAt } }
  })
  const binding = outcome?.stored.metadata.binding
  // A 401 makes the browser forget its key: the session has no such binding to prove.
  if (outcome === undefined || !isNamed(binding, named)) return 401
  if (outcome.isWritten) return binding
  const answer = hasAnswered ? refuse(core, outcome) : 403
  // Later than the last proof even if the clock stands still or was set back: an earlier challenge would be rejected.
  const at = Math.max(core.settings.now(), binding.provenAt + 1)
  info.ctx.set('Secure-Session-Challenge', `"${newChallenge(info, 'refresh', binding.id, at)}";id="${binding.id}"`)
  return answer
}

/**
 * Applies `decide` to the newest state and stores the result.
 *
 * @returns what is stored afterwards; `undefined` if the session has ended.
 */
async function store(core: Core, found: Found, decide: Decide): Promise<Outcome | undefined> {
  const { payload, settings, touches, writes } = core
  let written: Outcome | undefined
  const change = async ({ record, stored, isFollowed }: Found): Promise<Replaced> => {
    const metadata = decide(stored.metadata, isFollowed)
    if (metadata === undefined) return 'done'
    const { key, version, createdAt, owner } = record
    const next = { ...stored, metadata }
    const changed = recordOf(payload, { ...next, createdAt, owner }, key, version + 1, touches.newest(record), true)
    const answer = await writes.hold(key, core.store.replace(changed, version, settings.now()))
    if (answer === 'done') {
      payload.known.remember(changed, next)
      written = { record: changed, stored: next, isFollowed, isWritten: true }
    }
    return answer
  }
  const readAgain = async ({ record }: Found): Promise<Found | undefined> => {
    payload.known.forget(record.key)
    return foundIn(core, await core.store.read(record.key, settings.now()))
  }
  const newest = await changeNewest(found, change, readAgain).catch(throwOutage)
  return written ?? (newest && { ...newest, isWritten: false })
}

function refuse({ events }: Core, { record }: Found): Answer {
  events.tell('reject', record, { reason: 'unbound' })
  return 403
}

/** Confirms the binding to the browser and sets the bound cookie. */
function confirm(core: Core, { within, path }: BindingSettings, info: RouteInfo, { id }: Binding): void {
  const { ctx, cookie } = info
  ctx.append('Set-Cookie', boundCookieLine(info, id, within, core.settings.now()))
  ctx.status = 200
  ctx.type = 'application/json'
  ctx.body = JSON.stringify({
    session_identifier: id,
    refresh_url: `${path}/refresh`,
    scope: { include_site: false, scope_specification: [] },
    credentials: [{ type: 'cookie', ...boundCookieInstruction(cookie) }],
  })
}

/** A change that others overtook at every try counts as an outage: a 409 would make the browser forget its key. */
function throwOutage(error: unknown): never {
  if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_CONFLICT') throw error
  throw storeFailure(error.message)
}

/** Whether a refresh is for that binding. A refresh that names no binding is for that of its session. */
function isNamed(binding: Binding | undefined, named: string | undefined): binding is Binding {
  return binding !== undefined && (named === undefined || named === binding.id)
}

/** The key that a registration proves. */
function registeredKey(
  info: RequestInfo,
  proof: Proof | undefined,
  id: string | undefined,
  now: number,
): PublicKey | undefined {
  if (proof?.key === undefined || id === undefined) return
  if (challengeInstant(info, 'registration', id, proof.challenge, now) === undefined) return
  return isSignedBy(proof, proof.key) ? proof.key : undefined
}

/**
 * The instant of the challenge that a refresh proves; `undefined` without a valid proof. It must be later than that of the last
 * proof, so that each challenge counts once.
 */
function refreshedAt(info: RequestInfo, proof: Proof, binding: Binding, now: number): number | undefined {
  const at = challengeInstant(info, 'refresh', binding.id, proof.challenge, Math.max(now, binding.provenAt))
  return at !== undefined && at > binding.provenAt && isSignedBy(proof, binding) ? at : undefined
}
