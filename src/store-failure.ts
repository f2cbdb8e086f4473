// What a store failure is called. The message of what a store threw may quote what it was sent, and that may be data, so
// only codes, classes and words of a fixed list are ever shown.

// The first words of Redis's error replies. In the messages of some clients they stand further on.
const REDIS_WORDS =
  /\b(?:READONLY|OOM|NOAUTH|NOPERM|WRONGPASS|LOADING|MASTERDOWN|MISCONF|CLUSTERDOWN|MOVED|TRYAGAIN|CROSSSLOT|NOSCRIPT|NOREPLICAS|WRONGTYPE|EXECABORT|UNKILLABLE|IOERR)\b/

/**
 * The kind of a failure: a code such as `ECONNREFUSED`, `23505` or `ER_LOCK_DEADLOCK`, Redis's word, SQLite's result code,
 * else the name of the class; `undefined` where there is nothing to tell.
 */
export function failureKind(cause: unknown): string | undefined {
  // By its shape: an error of another realm is no instance of ours.
  if (typeof cause !== 'object' || cause === null) return undefined
  try {
    const { code, errcode, message } = cause as { code?: unknown; errcode?: unknown; message?: unknown }
    const word = typeof message === 'string' ? REDIS_WORDS.exec(message)?.[0] : undefined
    const name = typeof code === 'string' && isWord(code) ? code : className(cause)
    // node:sqlite has one code for everything, and SQLite's own in another field.
    const detail = word ?? (Number.isSafeInteger(errcode) ? String(errcode) : undefined)
    if (detail === undefined || detail === name) return name
    return name === undefined ? detail : `${name} ${detail}`
  } catch {
    // A getter or a proxy that throws: then the failure has no name.
    return undefined
  }
}

function className(cause: object): string | undefined {
  const name: unknown = (cause.constructor as { name?: unknown } | undefined)?.name
  return typeof name === 'string' && isWord(name) && name !== 'Error' && name !== 'Object' ? name : undefined
}

function isWord(text: string): boolean {
  return /^\w{1,40}$/.test(text)
}
