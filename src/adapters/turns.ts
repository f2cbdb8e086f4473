// One after another for each key, and all at once for different keys: what makes a step of several calls whole within
// one process.

/** The longest line that forms behind a call that a foreign store never answers. */
const LONGEST_LINE = 1000

interface Line {
  end: Promise<unknown>
  length: number
}

/** The pieces of work of one foreign store. */
class Turns {
  readonly #lines = new Map<string, Line>()

  /** Runs `work` when everything that came earlier for that key has settled. */
  take<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const line = this.#lines.get(key) ?? { end: Promise.resolve(), length: 0 }
    if (line.length >= LONGEST_LINE) {
      return Promise.reject(new Error(`${LONGEST_LINE} calls for one session wait for an answer of the foreign store`))
    }
    this.#lines.set(key, line)
    line.length++
    const turn = line.end.then(work)
    const leave = (): void => {
      if (--line.length === 0) this.#lines.delete(key)
    }
    line.end = turn.then(leave, leave)
    return turn
  }
}

const known = new WeakMap<object, Turns>()

/** The turns of a foreign store: the same ones for every adapter of it, so that two middlewares share them. */
export function turnsOf(foreign: object): Pick<Turns, 'take'> {
  const turns = known.get(foreign) ?? new Turns()
  known.set(foreign, turns)
  return turns
}
