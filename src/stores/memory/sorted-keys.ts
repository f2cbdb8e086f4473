// The keys of an owner with many sessions, in ascending order, so that a portion can start after a key that was removed meanwhile.
// They lie in chunks: an insertion moves the keys of one chunk, and sometimes the list of chunks.
/* eslint-disable @typescript-eslint/no-non-null-assertion -- there is always a chunk, and every index is below a length */

const CHUNK_KEYS = 128

export class SortedKeys {
  readonly #chunks: string[][] = [[]]

  add(key: string): void {
    const index = this.#chunkOf(key)
    const chunk = this.#chunks[index]!
    chunk.splice(positionOf(chunk, key), 0, key)
    if (chunk.length > CHUNK_KEYS) this.#chunks.splice(index + 1, 0, chunk.splice(CHUNK_KEYS / 2))
  }

  remove(key: string): void {
    const index = this.#chunkOf(key)
    const chunk = this.#chunks[index]!
    const position = positionOf(chunk, key)
    if (chunk[position] === key) chunk.splice(position, 1)
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(index, 1)
  }

  /** Up to `limit` keys after `cursor`. */
  after(cursor: string, limit: number): string[] {
    let index = this.#chunkOf(cursor)
    const start = positionOf(this.#chunks[index]!, cursor)
    const keys = this.#chunks[index]!.slice(start, start + limit + 1)
    if (keys[0] === cursor) keys.shift()
    while (keys.length < limit && ++index < this.#chunks.length)
      keys.push(...this.#chunks[index]!.slice(0, limit - keys.length))
    return keys.slice(0, limit)
  }

  /** The chunk for a key: the last one whose first key is not above it. */
  #chunkOf(key: string): number {
    return Math.max(0, firstNot(this.#chunks.length, (at) => this.#chunks[at]![0]! <= key) - 1)
  }
}

/** The index of the first key that is not below the given one. */
function positionOf(keys: readonly string[], key: string): number {
  return firstNot(keys.length, (at) => keys[at]! < key)
}

/** The first of `count` indexes that is not below what is searched, by binary search. */
function firstNot(count: number, isBelow: (at: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBelow(middle)) low = middle + 1
    else high = middle
  }
  return low
}
