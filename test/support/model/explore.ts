// Many scenarios against one store, the smallest one that goes wrong, and how to see it again.
import fc from 'fast-check'
import type { SessionStore } from '../../../src/index.ts'
import { someScenario, told, type Scenario } from './scenario.ts'
import { World } from './world.ts'

export interface Exploration {
  /** How many scenarios were played. */
  readonly runs: number
  readonly seed: number
  /** What went wrong, in its smallest form; `undefined` where nothing did. */
  readonly counterexample: string | undefined
}

/** How much there is to explore. */
export interface Journey {
  readonly runs: number
  readonly seed: number
  /** Where fast-check found the counterexample that is to be seen again. */
  readonly path?: string | undefined
  /** No scenario begins after this many milliseconds. */
  readonly limit?: number | undefined
  /**
   * Whether there are calls from outside of requests. They give others a turn of the event loop by themselves, and a store on
   * a server answers in such a turn: the schedule would not know whose doing it is. So they are for stores that answer at once.
   * @default true
   */
  readonly outside?: boolean | undefined
}

/** Plays scenarios until one goes wrong; `open` gives the store of each. */
export async function explore(
  open: () => SessionStore,
  { runs, seed, path, limit, outside = true }: Journey,
): Promise<Exploration> {
  const scenarios = outside ? someScenario : someScenario.map((scenario) => ({ ...scenario, outside: [] }))
  const property = fc.asyncProperty(scenarios, (scenario) => new World(scenario, open()).play())
  const found = await fc.check(property, {
    numRuns: runs,
    seed,
    ...(path === undefined ? {} : { path }),
    ...(limit === undefined ? {} : { interruptAfterTimeLimit: limit }),
  })
  return { runs: found.numRuns, seed, counterexample: found.counterexample === null ? undefined : report(found) }
}

function report({ counterexample, counterexamplePath, errorInstance, seed }: fc.RunDetails<[Scenario]>): string {
  const [scenario] = counterexample ?? []
  const what =
    errorInstance instanceof Error
      ? errorInstance.message !== ''
        ? errorInstance.message
        : String(errorInstance.stack)
      : String(errorInstance)
  return `${what}\n${scenario === undefined ? '' : told(scenario)}\n  again: --seed ${seed} --path ${String(counterexamplePath)}`
}
