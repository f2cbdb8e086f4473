// Stands between a library and its store: counts what the store is asked, fails on demand, and keeps what was to be kept.
export class Probe {
  /** What was asked: `read`, `write`, `touch` or `delete`, in order. */
  asked = []
  /** Everything that the store was told to keep, as text. */
  kept = ''
  #down = new Set()
  #running = new Set()

  /**
   * One call of the store, always answered asynchronously, as by a database.
   *
   * @param {'read' | 'write' | 'touch' | 'delete'} verb
   * @param {() => unknown} call
   * @param {readonly unknown[]} keeps what a write keeps: key and record
   */
  ask(verb, call, keeps = []) {
    const answer = this.#answer(verb, call, keeps)
    this.#running.add(answer)
    const over = () => void this.#running.delete(answer)
    answer.then(over, over)
    return answer
  }

  /** For stores that answer to a callback. */
  tell(verb, call, keeps, callback) {
    // Out of the promise, so that what the callback throws is the library's own affair.
    this.ask(
      verb,
      () => new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value)))),
      keeps,
    ).then(
      (value) => setImmediate(() => callback?.(null, value)),
      (error) => setImmediate(() => callback?.(error)),
    )
  }

  break(...verbs) {
    for (const verb of verbs) this.#down.add(verb)
  }

  heal() {
    this.#down.clear()
  }

  /** Resolves when no call is running: some libraries answer the client before they have stored. */
  async settled() {
    do {
      await Promise.allSettled(this.#running)
      await new Promise((resolve) => setImmediate(resolve))
    } while (this.#running.size > 0)
  }

  async #answer(verb, call, keeps) {
    this.asked.push(verb)
    if (this.#down.has(verb)) {
      await null
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    }
    this.kept += keeps.map((kept) => (typeof kept === 'string' ? kept : JSON.stringify(kept))).join(' ')
    return call()
  }
}
