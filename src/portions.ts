// Work on many things: in portions, a few at a time, with a turn of the event loop between, and with an end.
import { SessionError } from './errors.ts'

/** How many records a portion has. */
export const PORTION = 200

/** No walk has more portions: of `PORTION` records each they are three thousand million. */
const MAX_PORTIONS = 0x1000000

/** How many pieces of work are under way at the same time, or follow each other in one turn of the event loop. */
const WIDTH = 16

/**
 * The portions one after another, each asked for when the one before was dealt with.
 *
 * A store whose cursors go in a circle would never end: one cursor is remembered, a later one each time that the walk has
 * become twice as long, so that every circle is found (Brent's algorithm). A walk ends when the cursors do, and fails after
 * `most` portions: a store that has a new cursor for ever cannot be told from a large one before.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` for cursors that go in a circle or have no end, and what `ask` throws.
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
  throw new SessionError('ERR_SESSION_STORE', 'the session store gives its portions in a circle: no end would come')
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
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
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
