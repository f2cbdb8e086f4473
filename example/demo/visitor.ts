// What the shop keeps of a visitor, and what the rooms of the shop share.
import { currentSession, type SessionManager, type SessionMiddleware } from 'koa-fastsession'
import type { Users } from './users.ts'

/** The data of a session. Who is signed in is not in it: that is the session's owner. */
export interface Visitor {
  /** How many of each of the goods. */
  cart?: Record<string, number>
  /** The text of the gift card. */
  card?: string
  /** What the admin page gave this session. */
  role?: string
}

/** How many devices may be signed in to one account. */
export const MOST_DEVICES = 5

/** The session of the request that is running. */
export function visitor(): SessionManager<Visitor> {
  return currentSession<Visitor>()
}

/** The shop: what more than one room needs. */
export interface Shop {
  readonly sessions: SessionMiddleware<Visitor>
  readonly users: Users
  readonly now: () => number
  /** Prints a gift card, which takes its time. */
  readonly print: () => Promise<void>
  /** Where this very server listens, as a program on this machine dials it. */
  readonly address: () => string
  /** Makes the store of the sessions fail for so long. */
  readonly unplug: (milliseconds: number) => void
}
