// Work on many items: in portions, a few at a time, with turns of the event loop in between, and with a limit.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { storeFailure } from './errors.ts'

/** Yields to the event loop; also where a test has replaced the global timers. */
export { nextTurn }

/** How many records a portion has. */
export const PORTION = 200

/** The most portions of one walk. With `PORTION` records each they are three thousand million records. */
const MAX_PORTIONS = 0x1000000

/** How many pieces of work are under way at the same time, or follow each other in one turn of the event loop. */
const WIDTH = 16

/**
 * Gives the portions one after another, and asks for each when the one before was dealt with.
 *
 * The cursors of a faulty store may form a circle. One cursor is remembered, and replaced by a later one each time the walk has
 * become twice as long, so that every circle is found (Brent's algorithm). A walk ends when a portion has no cursor, and fails
 * after `most` portions: until then a store that always gives a new cursor cannot be told from a large one.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` for cursors that form a circle or never end, and what `ask` throws.
 */
export async function* portions<Page extends { readonly cursor: string | undefined }>(
  ask: (cursor: string | undefined) => Page | Promise<Page>,
  most: number = MAX_PORTIONS,
): AsyncGenerator<Page, void, undefined> {
  let remembered: string | undefined
  let cursor: string | undefined
  for (let steps = 1; steps <= most; steps++) {
    const page = await ask(cursor)
    yield page
    cursor = page.cursor
    if (cursor === undefined) return
    if (cursor === remembered) break
    // At each power of two.
    if ((steps & (steps - 1)) === 0) remembered = cursor
    await nextTurn()
  }
  throw storeFailure('the session store gives its portions in a circle: no end would come')
}

/**
 * Calls `work` for each item, a few at a time. Every item is tried, even if another one fails.
 *
 * @returns how many calls answered `true`.
 * @throws the first failure, after all items have been tried.
 */
export async function eachOf<Item>(items: Iterable<Item>, work: (item: Item) => Promise<boolean>): Promise<number> {
  const queue = items[Symbol.iterator]()
  let count = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
      try {
        if (await work(next.value)) count++
      } catch (error) {
        failures.push(error)
      }
      // A store that answers synchronously would otherwise block the event loop: a turn handles `WIDTH` items.
      await nextTurn()
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  if (failures.length > 0) throw failures[0]
  return count
}

/** Yields to the event loop at every `WIDTH`th piece of a portion; `at` is the index of the piece. */
export function turnAfter(at: number): Promise<void> | undefined {
  return at % WIDTH === WIDTH - 1 ? nextTurn() : undefined
}
