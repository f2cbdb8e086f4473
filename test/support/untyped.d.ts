// Types for the parts that are used of test packages without types. They do not extend Koa's types, as the published types of
// these packages would do for the whole project.
declare module 'koa-passport' {
  import type { Middleware } from 'koa'
  export interface Passport {
    use(name: string, strategy: object): this
    serializeUser(serialize: (user: { id: string }, done: (error: unknown, id?: unknown) => void) => void): void
    deserializeUser(deserialize: (id: string, done: (error: unknown, user?: unknown) => void) => void): void
    initialize(): Middleware
    session(): Middleware
    authenticate(name: string, options?: object): Middleware
    framework(framework: object): this
  }
  const passport: Passport & { readonly KoaPassport: new () => Passport }
  export default passport
}
declare module 'koa-passport/lib/framework/koa.js' {
  const framework: () => object
  export default framework
}
declare module 'passport' {
  import type { Passport } from 'koa-passport'
  const passport: { readonly Passport: new () => Passport }
  export default passport
}
declare module 'passport-local' {
  type Done = (error: unknown, user?: unknown, info?: { message: string }) => void
  export const Strategy: new (verify: (username: string, password: string, done: Done) => void) => object
}
declare module 'passport-oauth2' {
  type Done = (error: unknown, user?: unknown) => void
  const OAuth2Strategy: new (
    options: object,
    verify: (accessToken: string, refreshToken: string, profile: object, done: Done) => void,
  ) => object
  export default OAuth2Strategy
}
declare module 'koa-csrf' {
  import type { Middleware } from 'koa'
  const CSRF: new (options?: object) => Middleware
  export default CSRF
}
declare module 'koa-flash-simple' {
  import type { Middleware } from 'koa'
  export default function flash(options?: { key?: string }): Middleware
}
declare module 'koa-bodyparser' {
  import type { Middleware } from 'koa'
  export default function bodyParser(): Middleware
}
declare module 'koa-mount' {
  import type { Middleware } from 'koa'
  import type Koa from 'koa'
  export default function mount(path: string, app: Middleware | Koa): Middleware
}
declare module 'session-file-store' {
  import type { Store } from 'express-session'
  const create: (session: object) => new (options: object) => Store
  export default create
}
declare module 'on-headers' {
  import type { ServerResponse } from 'node:http'
  export default function onHeaders(response: ServerResponse, listener: (this: ServerResponse) => void): void
}
