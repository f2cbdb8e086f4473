// Whoever would write a record that another request of this process is writing waits a moment for it: the store would
// refuse all but one of them, and each refusal costs every other one another try. Only a help: what is right is decided
// by compare-and-set, and nobody waits for one who is slow.

interface Waiting {
  enter: ((isOurs: boolean) => void)[]
  timer: NodeJS.Timeout | undefined
}

/** Places in line for the records of a process, by key. */
export class Line {
  readonly #lines = new Map<string, Waiting>()
  readonly #longest: number

  /** Whoever is at it is waited for so many milliseconds. */
  constructor(longest: number) {
    this.#longest = longest
  }

  /** Whether somebody is at it. */
  isBusy(key: string): boolean {
    return this.#lines.size > 0 && this.#lines.has(key)
  }

  /** Takes the place of a record that nobody is at. */
  take(key: string): void {
    this.#lines.set(key, { enter: [], timer: undefined })
  }

  /**
   * Waits for the place.
   *
   * @returns whether it is ours, to be left; if not, whoever had it was slow or failed, and one goes on without it.
   */
  wait(key: string): Promise<boolean> {
    const line = this.#lines.get(key)
    if (line === undefined) {
      this.take(key)
      return Promise.resolve(true)
    }
    line.timer ??= this.#timer(line)
    return new Promise((resolve) => line.enter.push(resolve))
  }

  /** The next one's turn; after a failure nobody need wait for another one. */
  leave(key: string, hasFailed: boolean): void {
    const line = this.#lines.get(key)
    if (line === undefined) return
    clearTimeout(line.timer)
    const next = hasFailed ? undefined : line.enter.shift()
    if (next === undefined) {
      this.#lines.delete(key)
      scatter(line)
      return
    }
    line.timer = line.enter.length > 0 ? this.#timer(line) : undefined
    next(true)
  }

  #timer(line: Waiting): NodeJS.Timeout {
    return setTimeout(() => {
      line.timer = undefined
      scatter(line)
    }, this.#longest)
  }
}

function scatter(line: Waiting): void {
  const waiting = line.enter
  line.enter = []
  for (const enter of waiting) enter(false)
}
