// Finds the objects that a value is made of, and makes writing to them an error.

const DATE_WRITES = Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'))

/** The objects that can be reached from these values, each once. A codec may keep cycles, and nesting of any depth. */
export function objectsOf(roots: readonly unknown[]): Set<object> {
  const found = new Set<object>()
  const waiting: unknown[] = [...roots]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (typeof value !== 'object' || value === null || found.has(value)) continue
    found.add(value)
    if (ArrayBuffer.isView(value)) continue
    for (const part of Object.values(value)) waiting.push(part)
    if (value instanceof Map) for (const [key, part] of value as Map<unknown, unknown>) waiting.push(key, part)
    else if (value instanceof Set) for (const part of value as Set<unknown>) waiting.push(part)
  }
  return found
}

/**
 * Makes writing to an object a TypeError: in strict code, and by methods (`push`, `map.set`, `date.setTime`) in any code.
 * Only the elements of a typed array stay writable: the language cannot freeze them.
 */
export function freeze(object: object): void {
  if (ArrayBuffer.isView(object)) return
  if (object instanceof Map) refuseWrites(object, ['set', 'delete', 'clear', 'getOrInsert', 'getOrInsertComputed'])
  else if (object instanceof Set) refuseWrites(object, ['add', 'delete', 'clear'])
  else if (object instanceof Date) refuseWrites(object, DATE_WRITES)
  Object.freeze(object)
}

/** The value, made read-only with all objects in it, so that a value shared by requests may be handed out. */
export function frozen<Value>(value: Value): Value {
  for (const object of objectsOf([value])) freeze(object)
  return value
}

// Object.freeze does not cover the contents of a Map, a Set or a Date.
function refuseWrites(object: object, methods: readonly string[]): void {
  if (!Object.isExtensible(object)) return
  for (const name of methods) Object.defineProperty(object, name, { value: refuseWrite, configurable: true })
}

function refuseWrite(): never {
  throw new TypeError(
    'this object was taken out of session.data, which has been committed or replaced since: it is read-only',
  )
}
