// The contract of the option `owner`, as pure functions: what must be stored when the changes of one request meet what is stored.
import { isDeepStrictEqual } from 'node:util'
import type { Own } from '../model/entry.ts'
import { NOTHING, type Contents } from '../model/wishes.ts'
import type { Request } from './request.ts'
import { ownerIn, type By, type Data, type Names, type Owner } from './scenario.ts'

/** What a session is at one instant. */
export interface Held {
  readonly contents: Contents
  readonly owner: Owner | undefined
  readonly authenticatedAt: number | undefined
  /** The absolute timeout counts from here. */
  readonly startedAt: number
  /** The session's own lifetime, and its start. */
  readonly own: Own | undefined
}

export interface Outcome extends Held {
  /** Whether an owner appears or changes. */
  readonly signsIn: boolean
  /** Whether the lifetimes count from now. */
  readonly isNewStart: boolean
}

const NOBODY = { contents: NOTHING, owner: undefined, authenticatedAt: undefined, own: undefined }

/** What a session is once a step of a request is stored in it; `before` is `undefined` for a session that is not stored yet. */
export function outcome(by: By, request: Request, before: Held | undefined, now: number): Outcome {
  const { doing, maxAge } = request
  const held = before ?? { ...NOBODY, startedAt: now }
  const set = maxAge === undefined ? undefined : { maxAge, since: now }
  const { data: merged, flash } = request.merged(held.contents)
  let data = merged
  if (doing.do === 'update') data = counted(data, doing.names)
  let changes =
    doing.do === 'update'
      ? different(held.contents.data, data)
      : Object.fromEntries([...request.changes()].map(([key, { value }]) => [key, value]))
  if (doing.do === 'regenerate' && doing.keep !== true) {
    const { keep } = doing
    if (keep === false) return { ...NOBODY, startedAt: now, signsIn: false, isNewStart: true }
    data = some(data, keep)
    changes = some(changes, keep)
  }
  const isNewStart = before === undefined || set !== undefined
  const owner = ownerIn(by, data)
  const stays = { ...held, contents: { data, flash }, own: set ?? held.own, signsIn: false, isNewStart }
  if (owner === held.owner) return stays
  if (owner === undefined) return { ...stays, owner, authenticatedAt: undefined }
  const start = { owner, authenticatedAt: now, startedAt: now, signsIn: true, isNewStart: true }
  if (held.owner === undefined) {
    const length = stays.own?.maxAge
    return { ...stays, ...start, own: length === undefined ? undefined : { maxAge: length, since: now } }
  }
  const assigned = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
  return { contents: { data: assigned, flash: request.messages }, own: set, ...start }
}

/** What a session is once an update from outside is stored in it. */
export function outcomeOutside(by: By, before: Held, names: Names): Held {
  const data = counted(before.contents.data, names)
  const owner = ownerIn(by, data)
  const authenticatedAt = owner === undefined ? undefined : before.authenticatedAt
  return { ...before, contents: { ...before.contents, data }, owner, authenticatedAt }
}

/**
 * Whether a request that changed what it had read would sign an owner in again who was signed out meanwhile: that owner was there
 * when it read, and is not there now.
 */
export function bringsBack(by: By, request: Request, before: Held, { owner }: Held): boolean {
  if (owner === undefined || owner === before.owner) return false
  const bases = [...request.changes()].map(([key, { base }]) => [key, base] as const)
  if (request.conflicts(before.contents).length === 0) return false
  return ownerIn(by, { ...before.contents.data, ...Object.fromEntries(bases) }) === owner
}

/** The data after the function of an update. */
function counted(data: Data, names: Names): Data & Readonly<Record<string, unknown>> {
  const { user, ...rest } = { ...data, n: (data.n ?? 0) + 1 }
  if (names === null) return rest
  const named = names === undefined ? user : { name: names }
  return named === undefined ? rest : { ...rest, user: named }
}

/** The keys in which two states of data differ, with the later values. */
function different(before: Contents['data'], after: Contents['data']): Record<string, unknown> {
  const keys = Object.keys({ ...before, ...after }).filter((key) => !isDeepStrictEqual(before[key], after[key]))
  return Object.fromEntries(keys.map((key) => [key, after[key]]))
}

function some(data: Contents['data'], keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([key]) => keys.includes(key)))
}
