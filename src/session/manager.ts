// SessionManager: the object that handlers use. Its members document what they do; other modules implement it.
import { inspect } from 'node:util'
import { checkFunction } from '../checks.ts'
import { FAR } from '../clock-check.ts'
import { headersSentError, invalidMix, invalidType, keyNames, SessionError } from '../errors.ts'
import { assertNames } from '../option-functions.ts'
import { isData } from '../record/json-value.ts'
import type { DeviceFacts } from '../record/payload.ts'
import { duration, lifetime, type Duration } from '../duration.ts'
import { checkedOwner } from '../option-values.ts'
import { save } from './commit.ts'
import { symbolKey } from './data.ts'
import { destroy } from './destroy.ts'
import { runExclusive } from './exclusive.ts'
import { FlashMessages } from './flash.ts'
import { assertOutsideUpdate, updateAround } from './inside-update.ts'
import { reload } from './newest.ts'
import { regenerate, type Keep } from './regenerate.ts'
import type { Origin, RequestSession } from './request-session.ts'
import { update } from './update.ts'

/**
 * The data of a session, for an app to extend:
 *
 * ```ts
 * declare module 'koa-fastsession' {
 *   interface SessionData { userId?: string }
 * }
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- empty by design: it is there to be extended
export interface SessionData {}

/** What is kept of a session under a new id. */
export interface KeepOptions<Data extends object = SessionData> {
  /**
   * `true`: everything. A list: these keys of data, and owner, `authenticatedAt`, `createdAt` and `maxAge` too.
   * `false`: nothing.
   *
   * @default true
   */
  readonly keep?: boolean | readonly (keyof Data & string)[] | undefined
}

/** @internal What is behind a manager, for `koa-fastsession/migrate`. */
export let requestSessionOf: (session: SessionManager) => RequestSession

/**
 * The session of one request, at `ctx.state.session` and {@link currentSession}. It shows neither its id nor its data when it
 * is printed or turned into JSON.
 *
 * After `destroy()`, `data`, `id` and the methods throw `ERR_SESSION_DESTROYED`; the other properties can still be read, and a
 * second `destroy()` does nothing.
 */
export class SessionManager<Data extends object = SessionData> {
  readonly #session: RequestSession

  static {
    requestSessionOf = (manager) => manager.#session
    // Setting an undeclared property throws, because the value would be lost silently: it was meant for `data`, or passport
    // keeps it in a session. The proxy comes after the manager's own members in the prototype chain, so those cost nothing.
    const undeclared = new Proxy(
      {},
      {
        get(target, key, session: unknown) {
          if (key === 'passport' && typeof session === 'object' && session !== null && #session in session) {
            session.#session.core.events.notice(
              'NO_CTX_SESSION',
              'ctx.state.session.passport was read: koa-passport keeps its user there, and needs session({ koaSession: true })',
            )
          }
          return Reflect.get(target, key, session) as unknown
        },
        set(_target, key) {
          throw invalidMix(
            `session.${keyNames([String(key)])} cannot be set: write to session.data, which is stored; a package that writes to the session itself, such as koa-passport, needs session({ koaSession: true })`,
          )
        },
      },
    )
    Object.setPrototypeOf(this.prototype, undeclared)
    // In sloppy mode, an assignment to a read-only member would be lost silently.
    for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(this.prototype))) {
      if (member.get === undefined || member.set !== undefined) continue
      const set = (): never => {
        throw invalidMix(
          `session.${name} cannot be set: it says what the session is; signIn(), regenerate() and destroy() change it`,
        )
      }
      Object.defineProperty(this.prototype, name, { ...member, set })
    }
  }

  /** @internal Made by the middleware. */
  constructor(session: RequestSession) {
    this.#session = session
  }

  /**
   * The app's data: one object for the life of this manager, which behaves as a plain object.
   *
   * Nested changes count, writing an equal value is no change, and an `undefined` property counts as deleted. Assigning an
   * object replaces everything. Nested objects taken before `reload`, `update` or `regenerate` are detached: writing to one
   * throws. The object is not shared with other requests: they see a change once it is committed.
   *
   * @throws {SessionError} `ERR_SESSION_DESTROYED` after `destroy()`; on reading, `ERR_SESSION_SCHEMA` when the stored data does
   * not satisfy the schema, and `ERR_SESSION_VALUE` when the schema's output cannot be stored; on writing after the commit,
   * `ERR_SESSION_CLOSED`.
   * @throws {TypeError} on assigning anything but a plain object.
   */
  get data(): Data {
    const session = this.#consult()
    // It opens the session: what the schema says of its data is known then.
    const { data } = session
    const refusal = session.dataError && session.refusal
    if (refusal !== undefined) throw refusal
    // The proxy holds whatever the app stored: its type is the app's claim.
    return data.proxy as Data
  }

  /** Replaces everything, as assigning to a variable would: keys that the object does not have are deleted. */
  set data(contents: Data) {
    const session = this.#open()
    const given: unknown = contents
    if (!isData(given))
      throw invalidType(
        'session.data',
        'a plain object',
        given,
        'to empty it call clear(), to end the session destroy()',
      )
    // With koaSession, data is what JSON keeps of it.
    if (Object.getOwnPropertySymbols(given).length && !session.core.settings.koaSession) throw symbolKey()
    replaceData(session, given)
  }

  /**
   * The secret id. Reading it on a new session keeps that session: it is stored, and its cookie is sent.
   *
   * @throws {SessionError} `ERR_SESSION_DESTROYED` after `destroy()`; `ERR_SESSION_CLOSED` after the commit of a session that
   * was not stored.
   */
  get id(): string {
    const session = this.#open()
    session.assertReadable()
    if (session.status === 'new') {
      if (session.phase === 'closed')
        throw new SessionError(
          'ERR_SESSION_CLOSED',
          'session.id was read after the commit, of a session that was not kept: read it before the handler returns',
        )
      session.pending.mustStore = true
      session.cookie.watchHeaders()
    }
    return session.id
  }

  /** An identifier that is safe to log and to show: it names the session in `list` and `destroy`, but does not work as a cookie. */
  get publicId(): string {
    return this.#open().publicId
  }

  /** Whether this request began the session; `origin` tells why. */
  get isNew(): boolean {
    return this.#open().origin !== 'resumed'
  }

  /**
   * `'new'`: no cookie came. `'resumed'`: the session goes on. `'invalid'`: the cookie was malformed or not signed by us.
   * `'expired'`: signed by us, but its session has ended. `'unbound'`: its session is bound to another device.
   */
  get origin(): Origin {
    return this.#open().origin
  }

  /** The account that the session belongs to; `undefined` without a sign-in. */
  get owner(): string | undefined {
    return this.#open().record?.owner
  }

  /** When the session began, in epoch milliseconds. */
  get createdAt(): number {
    const session = this.#open()
    return session.record?.createdAt ?? session.now
  }

  /** The last recorded use, in epoch milliseconds. It may lag by a tenth of the idle timeout, at most an hour. */
  get lastSeenAt(): number {
    const session = this.#open()
    return session.record?.lastSeenAt ?? session.now
  }

  /**
   * When the owner last signed in, in epoch milliseconds; `undefined` without a sign-in. Before a sensitive action, call
   * {@link isFresh}.
   */
  get authenticatedAt(): number | undefined {
    return this.#open().metadata.authenticatedAt
  }

  /** When the session ends if it is not used again, in epoch milliseconds. */
  get expiresAt(): number {
    return this.#open().expiresAt
  }

  /**
   * Whether the owner signed in at most `age` ago; `false` without an owner. Call it before a sensitive action.
   *
   * @throws {TypeError} when `age` is no duration.
   * @throws {SessionError} `ERR_SESSION_DESTROYED` after `destroy()`.
   */
  isFresh(age: Duration): boolean {
    const session = this.#open()
    session.assertReadable()
    const { authenticatedAt } = session.metadata
    const longest = age === 0 ? 0 : duration(age, 'the argument of session.isFresh()')
    if (authenticatedAt === undefined || session.record?.owner === undefined) return false
    const elapsed = session.core.settings.now() - authenticatedAt
    // The age of an instant well in the future (the clock was set back, or another one is ahead) is unknown.
    return elapsed <= longest && elapsed >= -FAR
  }

  /** The facts of `options.device` about where the owner signed in, read-only; `undefined` without them, or without an owner. */
  get device(): DeviceFacts | undefined {
    return this.#open().stored.device
  }

  /** Whether the session is bound to a key that the browser holds (`options.deviceBound`). */
  get isBound(): boolean {
    return this.#open().metadata.binding !== undefined
  }

  /**
   * The session's own lifetime in milliseconds, for "remember me"; 0 while the options apply.
   *
   * Setting it above 0 makes the cookie's lifetime, the idle and the absolute timeout that long, counted from now; only an
   * explicit `absoluteTimeout` still caps it. Setting 0 goes back to the options. Where the cookie can no longer be sent, the browser
   * keeps its own lifetime, and a notice says so.
   *
   * @throws {TypeError} on setting anything but 0, or one second to 400 days.
   * @throws {SessionError} on setting, `ERR_SESSION_DESTROYED` or, after the commit, `ERR_SESSION_CLOSED`.
   */
  get maxAge(): number {
    return this.#open().maxAge
  }

  /** A string such as `'30d'` is a duration too. */
  set maxAge(value: Duration) {
    const session = this.#verb('session.maxAge =')
    session.assertWritable()
    session.setMaxAge(lifetime(value, 'session.maxAge'))
    // The record gets that lifetime, and the browser's cookie keeps the one that it has. That of a follower is of another response.
    if (session.pending.maxAge !== undefined && !session.cookie.canSend && !session.isFollower)
      session.core.events.notice('LATE_MAX_AGE', headersSentError('session.maxAge was set').message)
    session.cookie.watchHeaders()
  }

  /**
   * A signal for `fetch`, streams, server-sent events and sockets that aborts when this session ends, in whichever process and
   * for whatever reason: within a second of the end if the store announces ends, else within five. A new id is no end. Its
   * `reason` is `ERR_SESSION_GONE`. The session is watched from the first read of this property until the response is over
   * (in `run()`, until the connection closes).
   *
   * ```ts
   * const answer = await fetch(model, { signal: session.signal })
   * ```
   */
  get signal(): AbortSignal {
    return this.#open().signal
  }

  /**
   * Empties data; the id stays, and so do flash messages.
   *
   * @throws {SessionError} `ERR_SESSION_DESTROYED`, or `ERR_SESSION_CLOSED` after the commit.
   */
  clear(): void {
    replaceData(this.#verb('session.clear()'), {})
  }

  /**
   * Commits now instead of after the handlers, for what must be stored before something else begins; resolves once stored.
   * A new session is stored even if nothing has changed. After the commit this does nothing.
   *
   * @throws {SessionError} what a commit throws: `ERR_SESSION_GONE`, `ERR_SESSION_CONFLICT`, `ERR_SESSION_VALUE`,
   * `ERR_SESSION_TOO_LARGE`, `ERR_SESSION_SCHEMA`, `ERR_SESSION_STORE`, `ERR_SESSION_HEADERS_SENT`.
   */
  async save(): Promise<void>
  async save(...args: unknown[]): Promise<void> {
    if (refusesCallback(args, 'save')) return
    const session = this.#verb('session.save()')
    const replacing = session.facade?.beginReplacing()
    if (replacing !== undefined) await replacing
    await runExclusive(session, save)
  }

  /**
   * Changes data atomically: `fn` gets the newest stored data with this request's pending changes applied, and runs again
   * if another request wrote meanwhile, so its side effects may repeat. Everything is stored together when this resolves,
   * and nothing if `fn` throws. It works after the commit, too.
   *
   * ```ts
   * const visits = await session.update((data) => (data.visits = (data.visits ?? 0) + 1))
   * ```
   *
   * @returns what `fn` returned, which does not become data.
   * @throws {SessionError} `ERR_SESSION_CONFLICT` when ten seconds of tries were not enough, and what a commit throws.
   */
  async update<Result>(fn: (data: Data) => Result | Promise<Result>): Promise<Result> {
    checkFunction(fn, 'the argument of session.update()')
    return update(this.#open(), fn as (data: object) => Result | Promise<Result>)
  }

  /**
   * Takes the newest data from the store, and drops what this request changed and has not stored.
   *
   * @throws {SessionError} `ERR_SESSION_GONE` when the session has ended.
   */
  async reload(): Promise<void> {
    const session = this.#verb('session.reload()')
    await runExclusive(session, reload)
  }

  /**
   * Gives the session a new id and public id, stored at once with what is pending; the old ones no longer work. Use it when
   * rights change without a login. `keep: false` is a fresh start: an empty session without an owner.
   *
   * @throws {SessionError} `ERR_SESSION_GONE` when the session ended elsewhere or another request regenerated it first;
   * `ERR_SESSION_HEADERS_SENT` when the cookie can no longer be sent.
   */
  async regenerate(options: KeepOptions<Data> = {}): Promise<void> {
    if (refusesCallback([options], 'regenerate')) return
    const session = this.#verb('session.regenerate()')
    const keep = keepOf(options, 'session.regenerate()')
    await runExclusive(session, () => regenerate(session, keep, undefined))
  }

  /**
   * Signs an account in: the session gets a new id and belongs to `owner` (1 to 255 characters), `authenticatedAt` is now,
   * and both lifetimes start again.
   *
   * This never throws `ERR_SESSION_GONE`: if the session ended meanwhile, an empty one begins. If the previous owner was a
   * different one, nothing is kept unless `keep` lists keys.
   *
   * ```ts
   * await session.signIn(user.id, { keep: ['cart'] })
   * ```
   *
   * @throws {SessionError} `ERR_SESSION_HEADERS_SENT` when the cookie can no longer be sent; `ERR_SESSION_CROSS_SITE`
   * when another site sent the request; `ERR_SESSION_UNSUPPORTED` with the `owner` option.
   */
  async signIn(owner: string, options: KeepOptions<Data> = {}): Promise<void> {
    const session = this.#verb('session.signIn()')
    checkedOwner(owner, 'the owner of session.signIn()')
    if (session.core.settings.owner !== undefined) {
      throw new SessionError(
        'ERR_SESSION_UNSUPPORTED',
        'session.signIn() and options.owner both name the owner: drop the option, or write the data that it reads and call regenerate()',
      )
    }
    const keep = keepOf(options, 'session.signIn()')
    await runExclusive(session, () => regenerate(session, keep, owner))
  }

  /**
   * Ends the session: its record is gone when this resolves, and its cookie is cleared. A second call does nothing.
   *
   * @throws {SessionError} `ERR_SESSION_STORE` when the store failed: the session may live on.
   */
  async destroy(): Promise<void> {
    const session = this.#verb('session.destroy()')
    await runExclusive(session, destroy)
  }

  /**
   * Puts a message for a later request, or takes the messages of a key: an array, empty if there are none. Messages that were
   * taken are gone once this request is committed. Parallel puts all survive; overlapping takes may show one twice. Messages
   * are kept beside data, so `clear()` leaves them.
   *
   * ```ts
   * session.flash('notice', 'Saved') // before a redirect
   * const notices = session.flash('notice') // ['Saved'], in the next request
   * ```
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` when the message cannot be stored as it is; `ERR_SESSION_CLOSED` after the commit.
   */
  flash(key: string): unknown[]
  flash(key: string, value: unknown): void
  flash(...args: [key: string] | [key: string, value: unknown]): unknown[] | undefined {
    const session = this.#verb('session.flash()')
    session.assertReadable()
    const [key] = args
    if (typeof key !== 'string') throw invalidType('the key of session.flash()', 'a string', key)
    const { stored, pending, core } = session
    if (args.length > 1 || stored.flash.some(([, name]) => name === key)) session.assertWritable()
    const messages = (pending.flash ??= new FlashMessages(core.payload.codec))
    if (args.length === 1) return messages.take(key, stored.flash)
    messages.put(key, args[1])
  }

  /** FastSession's name for `data`. */
  getSession(): Data {
    return this.data
  }

  /** FastSession's name for `id`. Calling it keeps a new session, too. */
  getSessionId(): string {
    return this.id
  }

  /** FastSession's name for `clear()`. */
  clearSession(): void {
    this.clear()
  }

  /** FastSession's name for `save()`. */
  saveSession(): Promise<void> {
    return this.save()
  }

  /** What a log may show of a session: where it came from, and its public id once it is stored. */
  toJSON(): { origin: Origin; publicId?: string } {
    const { origin, record } = this.#consult()
    return record === undefined ? { origin } : { origin, publicId: record.key }
  }

  /** The response depends on the session from now on. */
  #consult(): RequestSession {
    const session = this.#session
    session.cookie.isConsulted = true
    session.cookie.watchHeaders()
    return session
  }

  /** The same, and decodes what is stored: a record that cannot be read counts as none, and the members must say so. */
  #open(): RequestSession {
    const session = this.#consult()
    session.open()
    return session
  }

  /** @throws {SessionError} `ERR_SESSION_IN_UPDATE` inside the function of an update of this session. */
  #verb(name: string): RequestSession {
    const session = this.#open()
    assertOutsideUpdate(session, name)
    return session
  }
}

/** @internal What is behind a value, if it is a manager of this copy of the package. */
export function requestSessionIn(value: unknown): RequestSession | undefined {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-argument -- instanceof does not know the type of data
  return value instanceof SessionManager ? requestSessionOf(value) : undefined
}

/** Replaces all data by `contents`, including data that does not satisfy the schema. */
function replaceData(session: RequestSession, contents: object): void {
  session.data.replaceAll(contents)
  const update = updateAround(session)
  if (update?.data) update.hasReplaced = true
  else session.pending.replacement = contents
}

Object.defineProperty(SessionManager.prototype, inspect.custom, {
  value(this: SessionManager): string {
    return `SessionManager ${inspect(this.toJSON())}`
  },
})

// passport and similar packages pass a callback and ignore the promise. The request would hang if it were not called.
function refusesCallback([callback]: unknown[], name: string): boolean {
  if (typeof callback !== 'function') return false
  const error = invalidType(
    `the argument of session.${name}()`,
    name === 'save' ? 'left out' : 'an object { keep } or left out',
    callback,
    'await its promise; koa-passport and other packages that pass a callback need session({ koaSession: true })',
  )
  process.nextTick(callback, error)
  return true
}

function keepOf(options: { readonly keep?: Keep | undefined }, name: string): Keep {
  assertNames(options, name, ['keep'])
  const { keep = true } = options
  if (typeof keep === 'boolean') return keep
  if (Array.isArray(keep) && keep.every((key) => typeof key === 'string')) return keep
  throw invalidType(`keep of ${name}`, 'true, false or a list of keys', keep)
}
