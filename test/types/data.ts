// What the compiler must know of a session's data, and what it must refuse. `npm run typecheck` runs this file: each
// expected error that does not come is an error itself. Extending SessionData reaches every file of a program, so that
// is tested in a consumer of its own (test/repo/package.test.ts).
import {
  bindSession,
  currentSession,
  session,
  tryCurrentSession,
  type SessionData,
  type SessionErrorCode,
  type SessionInfo,
  type SessionManager,
  type SessionMiddleware,
  type SessionOptions,
  type StandardSchema,
} from 'koa-fastsession'

interface Visitor {
  name?: string
  cart?: string[]
}

// currentSession<Data>()
const manager = currentSession<Visitor>()
manager satisfies SessionManager<Visitor>
manager.data.name satisfies string | undefined
manager.getSession().cart satisfies string[] | undefined
manager.data = { name: 'Ada' }
// @ts-expect-error -- data has no such key
manager.data.nmae = 'Ada'
// @ts-expect-error -- a key has its type
manager.data.name = 1
// @ts-expect-error -- data as a whole has its type
manager.data = { cart: 'book' }
// @ts-expect-error -- what comes from the browser or the store is not for the app to set
manager.id = 'mine'
// @ts-expect-error -- the owner is set by signIn
manager.owner = 'ada'

// without a type, data is SessionData: empty until the app extends it
currentSession().data satisfies SessionData
// @ts-expect-error -- SessionData was not extended here
currentSession().data.name satisfies unknown

// by a state key
currentSession<Visitor>('admin').data.name satisfies string | undefined
// @ts-expect-error -- a state key is a string
currentSession(1)

// tryCurrentSession may have none
tryCurrentSession<Visitor>()?.data.name satisfies string | undefined
// @ts-expect-error -- outside a request there is no session
tryCurrentSession<Visitor>().data satisfies unknown

// update gives fn's result, awaited, and knows the data
void (manager.update((data) => (data.cart ??= []).push('book')) satisfies Promise<number>)
void (manager.update((data) => Promise.resolve(data.name)) satisfies Promise<string | undefined>)
// @ts-expect-error -- the function is not optional
void manager.update()

// keep takes keys of the data
void (manager.regenerate({ keep: ['cart'] }) satisfies Promise<void>)
void (manager.signIn('ada', { keep: false }) satisfies Promise<void>)
// @ts-expect-error -- not a key of the data
void manager.regenerate({ keep: ['basket'] })
// @ts-expect-error -- an owner is a string
void manager.signIn(42)

// flash: put or take
manager.flash('notice') satisfies unknown[]
manager.flash('notice', 'saved')
// @ts-expect-error -- a message is kept under a name
manager.flash(1, 'saved')

// instants and lifetimes are numbers, an absent one is undefined
manager.authenticatedAt satisfies number | undefined
manager.expiresAt satisfies number
manager.maxAge satisfies number
manager.maxAge = '30d'
// @ts-expect-error -- undefined is no lifetime
manager.maxAge = undefined
manager.origin satisfies 'new' | 'resumed' | 'invalid' | 'expired' | 'unbound'
// @ts-expect-error -- there is no such origin
export const isStolen = manager.origin === 'stolen'

// the middleware's own methods know the data
const middleware = session<Visitor>({ keys: ['a secret'] })
middleware satisfies SessionMiddleware<Visitor>
void (middleware.list('ada') satisfies Promise<SessionInfo<Visitor>[]>)
void (middleware.destroyAll('ada', { except: manager.publicId }) satisfies Promise<number>)
void (middleware.destroy('a public id', { owner: 'ada' }) satisfies Promise<boolean>)
export const listening = (request: Parameters<typeof middleware.run>[0]): Promise<string | undefined> =>
  middleware.run(request, ({ data }) => data.name)

// options know the data
session<Visitor>({ owner: (data) => data.name })
// @ts-expect-error -- an owner is a string
session<Visitor>({ owner: (data) => data.cart })
// @ts-expect-error -- no such option
session({ secret: 'a secret' })
// @ts-expect-error -- a duration is a number or a string
session({ idleTimeout: true })
// @ts-expect-error -- only the absolute timeout can be switched off
session({ idleTimeout: false })
session({ absoluteTimeout: false, maxAge: '7d', rolling: true })
export const options: SessionOptions<Visitor> = {
  keys: [new Uint8Array(32), 'an older secret'],
  cookie: (ctx) => ({ secure: ctx.secure }),
}

// a schema tells the type of data
declare const schema: StandardSchema<{ count: number }>
session({ schema }) satisfies SessionMiddleware<{ count: number }>
// @ts-expect-error -- the schema's output is no Visitor
session<Visitor>({ schema: schema as StandardSchema<number> })

// bindSession keeps the function's type
bindSession((text: string, times: number) => text.repeat(times)) satisfies (text: string, times: number) => string

// codes are a closed union
export function isRetryable(code: SessionErrorCode): boolean {
  // @ts-expect-error -- not a code
  if (code === 'ERR_SESSION_LOST') return true
  return code === 'ERR_SESSION_CONFLICT'
}
