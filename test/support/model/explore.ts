// Plays many scenarios against a store, and reports the smallest one that fails, with how to replay it.
import fc from 'fast-check'
import type { SessionStore } from '../../../src/index.ts'
import { someScenario, told, type Scenario } from './scenario.ts'
import { World } from './world.ts'

export interface Exploration {
  /** The number of scenarios that were played. */
  readonly runs: number
  readonly seed: number
  /** The smallest failing scenario; `undefined` if none failed. */
  readonly counterexample: string | undefined
}

/** What to explore. */
export interface Journey {
  readonly runs: number
  readonly seed: number
  /** fast-check's path to a counterexample that is to be replayed. */
  readonly path?: string | undefined
  /** No scenario begins after this many milliseconds. */
  readonly limit?: number | undefined
  /**
   * Whether there are calls from outside of requests. Such calls yield to the event loop, and a store on a server may answer in
   * that turn: the schedule could not tell which task runs. So they are only for stores that answer synchronously.
   * @default true
   */
  readonly outside?: boolean | undefined
}

/** Plays scenarios until one fails. `open` gives the store of each. */
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
