// The names of options, and what other packages call the same things.
import { COOKIE_ATTRIBUTES } from './cookie/cookie.ts'
import { invalidMix } from './errors.ts'
import type { SessionOptions } from './options.ts'

// As an object, so that the compiler finds a name that is missing.
const NAMES: Readonly<Record<keyof SessionOptions, true>> = {
  keys: true,
  store: true,
  cookie: true,
  maxAge: true,
  rolling: true,
  idleTimeout: true,
  absoluteTimeout: true,
  stateKey: true,
  skip: true,
  skipHeader: true,
  passive: true,
  lazy: true,
  onConflict: true,
  storeTimeout: true,
  maxBytes: true,
  encryptionKeys: true,
  codec: true,
  schema: true,
  owner: true,
  maxPerOwner: true,
  device: true,
  crossSite: true,
  clearSiteData: true,
  deviceBound: true,
  generateId: true,
  koaSession: true,
  sweepInterval: true,
  logger: true,
  now: true,
}

// What koa-session, koa-generic-session, express-session and fastify's session call things, or do not need here.
const ELSEWHERE: Readonly<Record<string, string>> = {
  key: 'here it is cookie: { name }',
  name: 'here it is cookie: { name }',
  cookieName: 'here it is cookie: { name }',
  secret: 'here it is keys: [secret]',
  secrets: 'here it is keys',
  signed: 'and needs none here: the cookie is always signed',
  renew: 'here it is rolling: true',
  ttl: 'here it is idleTimeout',
  expires: 'here it is maxAge',
  timeout: 'here it is idleTimeout, and storeTimeout for calls of the store',
  genid: 'here it is generateId',
  genId: 'here it is generateId',
  genSid: 'here it is generateId',
  idGenerator: 'here it is generateId',
  encode: 'here it is codec: { stringify, parse }',
  decode: 'here it is codec: { stringify, parse }',
  prefix: 'here it is the prefix of the store, new RedisStore(client, { prefix })',
  ContextStore: 'here it is store, with fromKoaStore(store) for one made for koa-session',
  sessionStore: 'here it is store',
  client: 'here it is store: new RedisStore(client)',
  externalKey: 'and needs none here: the id travels in the cookie alone',
  sessionIdStore: 'and needs none here: the id travels in the cookie alone',
  saveUninitialized: 'here it is lazy, the other way round',
  allowEmpty: 'here it is lazy, the other way round',
  resave: 'and needs none here: a session is stored when it changed, and its expiry moves by itself',
  autoCommit: 'and needs none here: what changed is stored after the handlers, and by save() before',
  overwrite: 'and needs none here: the cookie is sent once in a response',
  beforeSave: 'here it is schema, for checking data at each commit',
  valid: 'here it is schema, for checking data at each load',
  unset: 'and needs none here: destroy() ends a session, clear() empties it',
  defer: 'and needs none here: data is parsed when it is first looked at',
  proxy: 'here it is app.proxy = true',
  errorHandler: "and needs none here: errors are Koa's, app.on('error'), and events are diagnostics channels",
  csrf: 'here it is crossSite',
}

/** @throws {TypeError} `ERR_INVALID_ARG_VALUE` for an option that there is none of that name. */
export function checkNames(given: object): void {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(NAMES, name))
  if (unknown !== undefined) throw unknownOption(given, unknown)
}

/** @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a name within the object of an option. */
export function checkInnerNames(given: object, at: string, names: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined) throw invalidMix(`${at}.${unknown} is no option: ${at} takes ${names.join(', ')}`)
}

/** Explains an unknown option: another library's name, or the app or ctx passed as options. */
function unknownOption(given: object, name: string): TypeError {
  if ('req' in given && 'res' in given)
    return invalidMix('session was mounted without being called: write app.use(session()), not app.use(session)')
  if ('middleware' in given && 'context' in given)
    return invalidMix('session() takes options, not the app: write app.use(session()), it finds app.keys by itself')
  const isAttribute = COOKIE_ATTRIBUTES.includes(name) && name !== 'name'
  const hint = isAttribute
    ? `, here it is cookie: { ${name} }`
    : Object.hasOwn(ELSEWHERE, name)
      ? `, ${String(ELSEWHERE[name])}`
      : ''
  return invalidMix(`options.${name} is no option${hint}: the options are ${Object.keys(NAMES).join(', ')}`)
}
