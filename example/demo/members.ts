// Pages for those who are signed in, and pages that want the password to be fresh.
import type { Context, Next } from 'koa'
import { codeOf } from './code.ts'
import { seeOther } from './forms.ts'
import type { User } from './users.ts'
import { visitor, type Shop } from './visitor.ts'

const FRESH = '5m'

/**
 * Where to go on after the password was given, and what for: a closed list, so that no link can lead elsewhere.
 */
const PLACES: Readonly<Record<string, string | undefined>> = {
  '/': undefined,
  '/account': 'see your account',
  '/account/email': 'change your e-mail',
  '/account/password': 'change your password',
  '/devices': 'see your devices',
  '/live': 'open the live view',
  '/thief': 'see what a stolen cookie opens',
  '/admin': 'see everybody’s sessions',
}

export function placeOf(path: string): string {
  return Object.hasOwn(PLACES, path) ? path : '/account'
}

/** What somebody wants there; `undefined` where it goes without saying. */
export function wishOf(place: string): string | undefined {
  return PLACES[place]
}

/** Lets signed-in visitors pass. */
export function membersOnly(shop: Shop) {
  return (ctx: Context, next: Next): Promise<unknown> | undefined => {
    if (userOf(shop) !== undefined) return next()
    seeOther(ctx, `/sign-in?for=${encodeURIComponent(ctx.path)}`)
    return undefined
  }
}

/** Lets those pass who gave their password within the last five minutes: a browser left open is not enough to take an account. */
//#region fresh
export function freshOnly(ctx: Context, next: Next): Promise<unknown> | undefined {
  if (visitor().isFresh(FRESH)) return next()
  seeOther(ctx, `/confirm?for=${encodeURIComponent(ctx.path)}`)
  return undefined
}
//#endregion

export const FRESH_CODE = codeOf('members.ts', 'fresh')

/** Who is signed in. */
export function userOf({ users }: Shop): User | undefined {
  const { owner } = visitor()
  return owner === undefined ? undefined : users.find(owner)
}

/** The same, below {@link membersOnly}. */
export function memberOf(shop: Shop): User {
  const user = userOf(shop)
  if (user === undefined) throw new Error('this route is for members only')
  return user
}
