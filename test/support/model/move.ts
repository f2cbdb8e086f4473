// A session that goes on under a new id: what the request asked for, and the lifetime that is kept.
import type { Own } from './entry.ts'
import type { Mind } from './mind.ts'
import type { Keep } from './scenario.ts'

export function moveOf({ doing }: Mind): { readonly keep: Keep; readonly signIn: string | undefined } | undefined {
  if (doing.do === 'regenerate') return { keep: doing.keep, signIn: undefined }
  return doing.do === 'signIn' ? { keep: doing.keep, signIn: doing.owner } : undefined
}

/** The session's own lifetime after a new id. `before` and `owner` are those of the old session. */
export function ownAfter(
  mind: Mind,
  before: Own | undefined,
  owner: string | undefined,
  now: number,
  hasEnded: boolean,
): Own | undefined {
  const { keep, signIn } = moveOf(mind) ?? { keep: true, signIn: undefined }
  const set = mind.maxAge === undefined ? undefined : { maxAge: mind.maxAge, since: now }
  const isAnother = signIn !== undefined && owner !== undefined && owner !== signIn
  const stays = !hasEnded && keep !== false && !isAnother
  const own = stays ? (set ?? before) : undefined
  if (signIn === undefined) return own
  const length = (set ?? own)?.maxAge
  return length === undefined ? undefined : { maxAge: length, since: now }
}
