// The names of options, and what other packages call the same things.
import { COOKIE_ATTRIBUTES } from './cookie/cookie.ts'
import { invalidMix } from './errors.ts'
import type { SessionOptions } from './options.ts'

const LISTED = [
  'keys',
  'store',
  'cookie',
  'maxAge',
  'rolling',
  'idleTimeout',
  'absoluteTimeout',
  'stateKey',
  'skip',
  'skipHeader',
  'passive',
  'lazy',
  'onConflict',
  'storeTimeout',
  'maxBytes',
  'encryptionKeys',
  'codec',
  'schema',
  'owner',
  'maxPerOwner',
  'device',
  'crossSite',
  'clearSiteData',
  'deviceBound',
  'generateId',
  'koaSession',
  'sweepInterval',
  'logger',
  'now',
] as const satisfies readonly (keyof SessionOptions)[]

/** The compiler finds a name that is missing in the list. */
const NAMES: keyof SessionOptions extends (typeof LISTED)[number] ? readonly string[] : never = LISTED

// Option names of koa-session, koa-generic-session, express-session and fastify's session, and what to use here instead.
const HERE_IT_IS: Readonly<Record<string, string>> = {
  key: 'cookie: { name }',
  cookieName: 'cookie: { name }',
  secret: 'keys: [secret]',
  secrets: 'keys',
  renew: 'rolling: true',
  ttl: 'idleTimeout',
  expires: 'maxAge',
  timeout: 'idleTimeout, and storeTimeout for calls of the store',
  genid: 'generateId',
  genId: 'generateId',
  genSid: 'generateId',
  idGenerator: 'generateId',
  encode: 'codec: { stringify, parse }',
  decode: 'codec: { stringify, parse }',
  prefix: 'the prefix of the store, new RedisStore(client, { prefix })',
  ContextStore: 'store, with fromKoaStore(store) for one made for koa-session',
  sessionStore: 'store',
  client: 'store: new RedisStore(client)',
  saveUninitialized: 'lazy, the other way round',
  allowEmpty: 'lazy, the other way round',
  beforeSave: 'schema, for checking data at each commit',
  valid: 'schema, for checking data at each load',
  proxy: 'app.proxy = true',
  csrf: 'crossSite',
}

/** Names of other libraries' options that have no counterpart, and why none is needed. */
const NEEDLESS: Readonly<Record<string, string>> = {
  signed: 'the cookie is always signed',
  externalKey: 'the id travels in the cookie alone',
  sessionIdStore: 'the id travels in the cookie alone',
  resave: 'a session is stored when it changed, and its expiry moves by itself',
  autoCommit: 'what changed is stored after the handlers, and by save() before',
  overwrite: 'the cookie is sent once in a response',
  unset: 'destroy() ends a session, clear() empties it',
  defer: 'data is parsed when it is first looked at',
  errorHandler: "errors are Koa's, app.on('error'), and events are diagnostics channels",
}

/**
 * Explains an unknown option: another library's name, or the app or ctx passed as options.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_VALUE`.
 */
export function checkNames(given: object): void {
  const name = Object.keys(given).find((key) => !NAMES.includes(key))
  if (name === undefined) return
  if ('req' in given && 'res' in given)
    throw invalidMix('session was mounted without being called: write app.use(session()), not app.use(session)')
  if ('middleware' in given && 'context' in given)
    throw invalidMix('session() takes options, not the app: write app.use(session()), it finds app.keys by itself')
  const place = COOKIE_ATTRIBUTES.includes(name) ? `cookie: { ${name} }` : own(HERE_IT_IS, name)
  const reason = own(NEEDLESS, name)
  const hint =
    place !== undefined ? `, here it is ${place}` : reason !== undefined ? `, and needs none here: ${reason}` : ''
  throw invalidMix(`options.${name} is no option${hint}: the options are ${NAMES.join(', ')}`)
}

/** Own entries only: a name may be one that every object inherits. */
function own(table: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}
