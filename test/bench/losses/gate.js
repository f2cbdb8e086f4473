// A place where handlers wait until they are let through.
export class Gate {
  #waiting
  #arrive
  #open
  #arrived = new Promise((resolve) => (this.#arrive = resolve))
  #opened = new Promise((resolve) => (this.#open = resolve))

  /** @param {number} crowd how many must have come before `arrived` resolves */
  constructor(crowd = 1) {
    this.#waiting = crowd
  }

  /** Resolves when the crowd is there. */
  get arrived() {
    return this.#arrived
  }

  /** For handlers: waits here. */
  pass() {
    this.#waiting--
    if (this.#waiting === 0) this.#arrive()
    return this.#opened
  }

  /** Lets everybody through, those that are still to come too. */
  open() {
    this.#open()
  }
}
