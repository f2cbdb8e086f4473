// Work on many things: in portions, a few at a time, with a turn of the event loop between.

/** How many records a portion has. */
export const PORTION = 200
/** How many pieces of work are under way at the same time. */
const WIDTH = 16

/** All portions of something that is paged, with a turn of the event loop between them. */
export async function* pagesOf<Page extends { readonly cursor: string | undefined }>(
  page: (limit: number, cursor: string | undefined) => Page | Promise<Page>,
): AsyncGenerator<Page, void, undefined> {
  let cursor: string | undefined
  do {
    const portion = await page(PORTION, cursor)
    yield portion
    cursor = portion.cursor
    if (cursor !== undefined) await nextTurn()
  } while (cursor !== undefined)
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
    for (let turns = 1; ; turns++) {
      const next = queue.next()
      if (next.done === true) return
      try {
        if (await work(next.value)) count++
      } catch (error) {
        failures.push(error)
      }
      // A store that answers at once would otherwise keep the event loop.
      if (turns % WIDTH === 0) await nextTurn()
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  if (failures.length > 0) throw failures[0]
  return count
}

/** Lets everything else that is waiting have its turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
