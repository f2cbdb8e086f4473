// Walks through what a store gives in portions: with a turn of the event loop between them, and with an end.
import { SessionError } from './errors.ts'

/**
 * The portions one after another, each asked for when the one before was dealt with.
 *
 * A store whose cursors go in a circle would never end: one cursor is remembered, a later one each time that the walk has
 * become twice as long, so that every circle is found (Brent's algorithm).
 *
 * @throws {SessionError} `ERR_SESSION_STORE` for cursors that go in a circle, and what `ask` throws.
 */
export async function* portions<Page extends { readonly cursor: string | undefined }>(
  ask: (cursor: string | undefined) => Promise<Page>,
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
    await new Promise((resolve) => setImmediate(resolve))
  }
}
