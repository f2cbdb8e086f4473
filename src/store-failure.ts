// Names store failures and turns them into errors. The message of a store's error may quote what was sent to the store, which may
// be data, so only codes, names of classes and words of a fixed list are ever shown.
import { WrongAnswer } from './answers.ts'
import { SessionError, storeFailure } from './errors.ts'
import type { Events } from './events.ts'
import type { SessionRecord } from './store.ts'

/** The record that a call is about, or its key; `undefined` where it is about many. */
export type Subject = string | Pick<SessionRecord, 'key' | 'owner'> | undefined

// The first words of Redis's error replies. Some clients put other text before them.
const REDIS_WORDS =
  /\b(?:READONLY|OOM|NOAUTH|NOPERM|WRONGPASS|LOADING|MASTERDOWN|MISCONF|CLUSTERDOWN|MOVED|TRYAGAIN|CROSSSLOT|NOSCRIPT|NOREPLICAS|WRONGTYPE|EXECABORT|UNKILLABLE|IOERR)\b/

/** The error of a failed call. An event reports it, unless the store says that it lacks something (`ERR_SESSION_UNSUPPORTED`). */
export function storeError(events: Events, operation: string, subject: Subject, given: unknown): SessionError {
  if (given instanceof SessionError) {
    if (given.code === 'ERR_SESSION_STORE') told(events, operation, subject, failureKind(given.cause), given.message)
    return given
  }
  const cause = given ?? new Error('it gave no reason')
  const kind = failureKind(cause)
  // The message of our own check quotes nothing.
  const why =
    cause instanceof WrongAnswer
      ? `: ${cause.message}`
      : `${kind === undefined ? '' : ` (${kind})`}: error.cause says why`
  return told(events, operation, subject, kind, `the session store failed at ${operation}${why}`, { cause })
}

/** The error of a call that was not answered within `timeout` milliseconds. An event reports it. */
export function lateError(events: Events, operation: string, subject: Subject, timeout: number): SessionError {
  const isRead = ['read', 'list', 'listKeys', 'scan'].includes(operation)
  const message = `the session store did not answer ${operation} within options.storeTimeout (${timeout} ms)${isRead ? '' : ': whether it happened is unknown, and it is not tried again'}`
  return told(events, operation, subject, 'timeout', message)
}

function told(
  events: Events,
  operation: string,
  subject: Subject,
  kind: string | undefined,
  message: string,
  options?: ErrorOptions,
): SessionError {
  if (events.channels['store-error'].hasSubscribers) {
    const { key: publicId, owner } = typeof subject === 'object' ? subject : { key: subject }
    // Without the cause: listeners may print the error.
    const error = storeFailure(message)
    events.emit('store-error', { publicId, owner, operation, kind, error })
  }
  return storeFailure(message, options)
}

/**
 * The kind of a failure: a code such as `ECONNREFUSED`, `23505` or `ER_LOCK_DEADLOCK`, Redis's word, SQLite's result code,
 * else the name of the class; `undefined` where none of these is known.
 */
export function failureKind(cause: unknown): string | undefined {
  // By its shape: an error of another realm is no instance of ours.
  if (typeof cause !== 'object' || cause === null) return
  try {
    const { code, errcode, message } = cause as { code?: unknown; errcode?: unknown; message?: unknown }
    const word = typeof message === 'string' ? REDIS_WORDS.exec(message)?.[0] : undefined
    const name = typeof code === 'string' && isWord(code) ? code : className(cause)
    // node:sqlite has one `code` for everything, and SQLite's own code in `errcode`.
    const detail = word ?? (Number.isSafeInteger(errcode) ? String(errcode) : undefined)
    if (detail === undefined || detail === name) return name
    return name === undefined ? detail : `${name} ${detail}`
  } catch {
    // A getter or a proxy that throws: then the failure has no name.
  }
}

function className(cause: object): string | undefined {
  const name: unknown = (cause.constructor as { name?: unknown } | undefined)?.name
  return typeof name === 'string' && isWord(name) && name !== 'Error' && name !== 'Object' ? name : undefined
}

function isWord(text: string): boolean {
  return /^\w{1,40}$/.test(text)
}
