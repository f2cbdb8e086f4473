// The core's own part of a record, in its `meta`: what the named fields of a record do not say.
import type { Span } from './lifetime.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'

/** What the core remembers of a session beside its data. */
export interface Notes extends Span {
  readonly authenticatedAt: number | undefined
  /** The key of the record that took this one's place, in a tombstone. */
  readonly successor: string | undefined
}

/** The notes of a session that begins now. */
export function freshNotes(startedAt: number): Notes {
  return { startedAt, maxAge: 0, maxAgeSince: 0, authenticatedAt: undefined, successor: undefined }
}

/** Notes as short text; `undefined` where the record's own fields say it all, as for most sessions. */
export function writeNotes(notes: Notes, createdAt: number): string | undefined {
  const { authenticatedAt, startedAt, maxAge, successor } = notes
  if (authenticatedAt === undefined && startedAt === createdAt && maxAge === 0 && successor === undefined)
    return undefined
  return JSON.stringify({
    a: authenticatedAt,
    s: startedAt === createdAt ? undefined : startedAt,
    m: maxAge === 0 ? undefined : maxAge,
    c: maxAge === 0 ? undefined : notes.maxAgeSince,
    n: successor,
  })
}

/** @throws {CorruptRecord} when `meta` is not what was written. */
export function notesOf({ meta, createdAt }: Pick<SessionRecord, 'meta' | 'createdAt'>): Notes {
  if (meta === undefined) return freshNotes(createdAt)
  try {
    return readNotes(meta, createdAt)
  } catch (cause) {
    throw new CorruptRecord('meta is not what was written', { cause })
  }
}

function readNotes(meta: string, createdAt: number): Notes {
  const { a, s, m, c, n } = JSON.parse(meta) as Record<string, unknown>
  return {
    authenticatedAt: number(a),
    startedAt: number(s) ?? createdAt,
    maxAge: number(m) ?? 0,
    maxAgeSince: number(c) ?? createdAt,
    successor: typeof n === 'string' ? n : undefined,
  }
}

function number(value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value)) throw new SyntaxError('notes hold something else than a whole number')
  return value as number
}
