// Work on many things: in portions, a few at a time, with a turn of the event loop between, and with an end.
import { SessionError } from './errors.ts'

/** How many records a portion has. */
export const PORTION = 200

/** How many pieces of work are under way at the same time, or follow each other in one turn of the event loop. */
const WIDTH = 16

/**
 * The portions one after another, each asked for when the one before was dealt with.
 *
 * A store whose cursors go in a circle would never end: one cursor is remembered, a later one each time that the walk has
 * become twice as long, so that every circle is found (Brent's algorithm). A walk ends when the cursors do; a store that has
 * a new one for ever cannot be told from a large one, and the caller sees each portion.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` for cursors that go in a circle, and what `ask` throws.
 */
export async function* portions<Page extends { readonly cursor: string | undefined }>(
  ask: (cursor: string | undefined) => Page | Promise<Page>,
): AsyncGenerator<Page, void, undefined> {
  let remembered: string | undefined
  let steps = 0
  let cursor: string | undefined
  for (;;) {
    const page = await ask(cursor)
    yield page
    cursor = page.cursor
    if (cursor === undefined) return
    if (cursor === remembered)
      throw new SessionError('ERR_SESSION_STORE', 'the session store gives its portions in a circle: no end would come')
    steps++
    // At each power of two.
    if ((steps & (steps - 1)) === 0) remembered = cursor
    await nextTurn()
  }
}

/**
 * Does `work` for each of them, a few at a time. Every one is tried, even if another fails.
 *
 * @returns how many answered `true`.
 * @throws the first failure, when all have been tried.
 */
export async function eachOf<Item>(items: Iterable<Item>, work: (item: Item) => Promise<boolean>): Promise<number> {
  const queue = items[Symbol.iterator]()
  let count = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = queue.next()
      if (next.done === true) return
      try {
        if (await work(next.value)) count++
      } catch (error) {
        failures.push(error)
      }
      // A store that answers at once would otherwise keep the event loop: as many pieces as are under way make a turn.
      await nextTurn()
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  if (failures.length > 0) throw failures[0]
  return count
}

/** Lets everything else that is waiting have its turn before a piece of a portion that comes after `WIDTH` others. */
export function turnAfter(at: number): Promise<void> | undefined {
  return at % WIDTH === WIDTH - 1 ? nextTurn() : undefined
}

/** Lets everything else that is waiting have its turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
