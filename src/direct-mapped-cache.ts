// A table with one slot for all keys that begin alike: the newest entry of a slot replaces the one before it. So nothing has
// to be counted or ordered, and it costs the garbage collector less than a WeakMap.

/**
 * A number of at least 24 bits from the first four characters of base64url; to be masked by the caller, for whom NaN counts
 * as 0. They are evenly distributed, as those of a hash are.
 */
export function slotOf(text: string): number {
  return ((text.charCodeAt(0) * 67 + text.charCodeAt(1)) * 67 + text.charCodeAt(2)) * 67 + text.charCodeAt(3)
}
