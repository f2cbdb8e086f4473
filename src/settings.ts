// Checks the options and fills in the defaults, once, when session() is called.
import type { Context } from 'koa'
import { checkFlag, checkOneOf, checkText, checkWholeNumber } from './checks.ts'
import { cookieSettings, type CookieOptions, type CookieSettings } from './cookie/cookie.ts'
import { hasShortSecret, keyring, type LiveKeyring } from './cookie/keyring.ts'
import type { BindingSettings } from './device-bound/policy.ts'
import { duration, DURATION_OR_FALSE, lifetime, timerDuration } from './duration.ts'
import { invalidMix, invalidType } from './errors.ts'
import type { SessionLogger } from './events.ts'
import {
  assertBelow,
  bindingOf,
  clearSiteDataOf,
  codecOf,
  deviceOf,
  encryptionOf,
  generateIdOf,
  loggerOf,
  ownerOf,
  schemaOf,
  skipOf,
  storeOf,
  trustsOf,
  type Trusts,
} from './option-values.ts'
import { clockOf, isNamed, plainAnswer, predicate } from './option-functions.ts'
import { checkNames } from './option-names.ts'
import type { SessionOptions } from './options.ts'
import type { StandardSchema } from './record/schema.ts'
import type { Codec } from './record/codec.ts'
import { lifetimePolicy, type LifetimePolicy } from './record/lifetime.ts'
import type { EncryptionSettings } from './record/encryption.ts'
import type { DeviceFacts } from './record/payload.ts'
import type { SessionStore } from './store.ts'
import { MemoryStore } from './stores/memory.ts'

/** Options after validation, with every default filled in. Results of the app's functions are checked at each call. */
export interface Settings {
  /** `undefined`: the keys of the app, read at each request. */
  readonly keys: LiveKeyring | undefined
  readonly hasShortSecret: boolean
  readonly store: SessionStore
  /** Whether `options.store` was left out. */
  readonly isDefaultStore: boolean
  readonly cookie: CookieSettings | ((ctx: Context) => CookieSettings)
  readonly lifetime: LifetimePolicy
  readonly stateKey: string
  readonly skips: ((ctx: Context) => boolean) | undefined
  readonly passive: ((ctx: Context) => boolean) | undefined
  readonly lazy: boolean
  readonly throwsOnConflict: boolean
  readonly storeTimeout: number
  readonly maxBytes: number
  readonly encryption: EncryptionSettings | undefined
  readonly codec: Codec
  readonly schema: StandardSchema | undefined
  /** Must be called with a copy of data. */
  readonly owner: ((data: Record<string, unknown>) => string | undefined) | undefined
  readonly maxPerOwner: number | undefined
  readonly device: ((ctx: Context) => DeviceFacts) | undefined
  /** `undefined`: requests are not checked. */
  readonly trusts: Trusts | undefined
  /** The value of the `Clear-Site-Data` header. */
  readonly clearSiteData: string | undefined
  readonly deviceBound: BindingSettings | undefined
  readonly generateId: () => string
  readonly koaSession: boolean
  /** 0 for never. */
  readonly sweepInterval: number
  readonly logger: SessionLogger | undefined
  readonly now: () => number
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`, naming the option and its rule.
 */
export function settingsOf(given: unknown): Settings {
  // A store has no own names, and would pass for empty options.
  if (!isNamed(given) || 'create' in given) throw invalidType('options', 'a plain object such as { store }', given)
  checkNames(given)
  // Unchecked so far: every field is checked below.
  const options = given as SessionOptions
  // Defaults replace only `undefined`, as everywhere: `null` is an error.
  const {
    keys,
    store,
    maxPerOwner,
    cookie = {},
    rolling = false,
    stateKey = 'session',
    lazy = true,
    onConflict = 'merge',
    storeTimeout = 2000,
    maxBytes = 65_536,
    crossSite = 'refuse',
    deviceBound = false,
    koaSession = false,
    sweepInterval = 600_000,
  } = options
  checkFlag(rolling, 'options.rolling')
  checkFlag(lazy, 'options.lazy')
  checkFlag(koaSession, 'options.koaSession')
  checkOneOf(onConflict, 'options.onConflict', ['merge', 'throw'])
  checkWholeNumber(maxBytes, 'options.maxBytes', 'of bytes, at least 2', 2)
  if (maxPerOwner !== undefined) checkWholeNumber(maxPerOwner, 'options.maxPerOwner', 'of sessions, at least 1', 1)
  checkText(stateKey, 'options.stateKey', /^(?!__proto__$)./s, 'a name that is neither empty nor __proto__')
  const encryption = encryptionOf(options.encryptionKeys)
  const binding = bindingOf(deviceBound)
  return Object.freeze({
    keys: keys === undefined ? undefined : keyring(keys, 'options.keys'),
    hasShortSecret: hasShortSecret(keys),
    store: store === undefined ? new MemoryStore() : storeOf(store),
    isDefaultStore: store === undefined,
    cookie: checkedCookie(cookie, binding?.path),
    lifetime: policyOf(options, rolling),
    stateKey,
    skips: skipOf(predicate(options.skip, 'options.skip'), options.skipHeader),
    passive: predicate(options.passive, 'options.passive'),
    lazy,
    throwsOnConflict: onConflict === 'throw',
    storeTimeout: timerDuration(storeTimeout, 'options.storeTimeout'),
    maxBytes,
    encryption,
    codec: codecOf(options.codec, maxBytes, koaSession),
    schema: schemaOf(options.schema),
    owner: ownerOf(options.owner),
    maxPerOwner,
    device: deviceOf(options.device),
    trusts: trustsOf(crossSite),
    clearSiteData: clearSiteDataOf(options.clearSiteData),
    deviceBound: binding,
    generateId: generateIdOf(options.generateId),
    koaSession,
    sweepInterval:
      sweepInterval === false ? 0 : timerDuration(sweepInterval, 'options.sweepInterval', DURATION_OR_FALSE),
    logger: loggerOf(options.logger),
    now: clockOf(options.now),
  })
}

function policyOf({ maxAge: age = 0, idleTimeout, absoluteTimeout }: SessionOptions, rolling: boolean): LifetimePolicy {
  const maxAge = lifetime(age, 'options.maxAge')
  if (rolling && maxAge === 0)
    throw invalidMix(
      'options.rolling needs options.maxAge: without it the cookie lives while the browser runs, and there is nothing to renew',
    )
  const idle = idleTimeout === undefined ? undefined : duration(idleTimeout, 'options.idleTimeout')
  const absolute =
    absoluteTimeout === undefined || absoluteTimeout === false
      ? absoluteTimeout
      : duration(absoluteTimeout, 'options.absoluteTimeout', DURATION_OR_FALSE)
  return lifetimePolicy(maxAge, rolling, idle, absolute)
}

function checkedCookie(cookie: unknown, devicePath: string | undefined): Settings['cookie'] {
  const attributes = (value: unknown, name: string): CookieSettings => {
    const given: CookieOptions = plainAnswer(value, name, 'an object of attributes or a function of ctx')
    const settings = cookieSettings(given, name)
    if (devicePath !== undefined) assertBelow(devicePath, given.path ?? '/')
    return settings
  }
  if (typeof cookie !== 'function') return Object.freeze(attributes(cookie, 'options.cookie'))
  return (ctx) => attributes((cookie as (ctx: Context) => unknown)(ctx), 'options.cookie(ctx)')
}
