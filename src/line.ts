// Whoever would write a record that another request of this process is writing waits for it: the store would refuse all
// but one of them, and each refusal costs every other one another try. Other processes are met by compare-and-set alone.

/** Places in line for the records of a process, by key. */
export class Line {
  readonly #waiting = new Map<string, ((isOurs: boolean) => void)[]>()
  readonly #longest: number

  /** Nobody waits longer than so many milliseconds. */
  constructor(longest: number) {
    this.#longest = longest
  }

  /** Whether somebody is at it. */
  isBusy(key: string): boolean {
    return this.#waiting.size > 0 && this.#waiting.has(key)
  }

  /** Takes the place of a record that nobody is at. */
  take(key: string): void {
    this.#waiting.set(key, [])
  }

  /**
   * Waits for the place.
   *
   * @returns whether it is ours, to be left; if not, the wait was too long or whoever had it failed, and one goes on
   * without it.
   */
  wait(key: string): Promise<boolean> {
    return new Promise((resolve) => {
      const line = this.#waiting.get(key)
      if (line === undefined) {
        this.take(key)
        resolve(true)
        return
      }
      const timer = setTimeout(() => {
        line.splice(line.indexOf(enter), 1)
        resolve(false)
      }, this.#longest)
      const enter = (isOurs: boolean): void => {
        clearTimeout(timer)
        resolve(isOurs)
      }
      line.push(enter)
    })
  }

  /** The next one's turn; after a failure nobody need wait for another one. */
  leave(key: string, hasFailed: boolean): void {
    const line = this.#waiting.get(key) ?? []
    const next = hasFailed ? undefined : line.shift()
    if (next !== undefined) {
      next(true)
      return
    }
    this.#waiting.delete(key)
    for (const enter of line) enter(false)
  }
}
