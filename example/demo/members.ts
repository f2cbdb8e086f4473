// Pages for those who are signed in, and pages that want the password to be fresh.
import type { Context, Next } from 'koa'
import { seeOther } from './forms.ts'
import type { User } from './users.ts'
import { visitor, type Shop } from './visitor.ts'

const FRESH = 5 * 60_000

/** Where to go on after the password was given: a closed list, so that no link can lead elsewhere. */
const PLACES = ['/', '/account', '/account/email', '/account/password', '/devices', '/live'] as const

export function placeOf(path: string): string {
  return PLACES.find((place) => place === path) ?? '/account'
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
export function freshOnly({ now }: Shop) {
  return (ctx: Context, next: Next): Promise<unknown> | undefined => {
    if (now() - (visitor().authenticatedAt ?? 0) < FRESH) return next()
    seeOther(ctx, `/confirm?for=${encodeURIComponent(ctx.path)}`)
    return undefined
  }
}

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
