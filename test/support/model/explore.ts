// Plays many scenarios against a store, and reports the smallest one that fails, with how to replay it.
import fc from 'fast-check'
import type { SessionStore } from '../../../src/index.ts'
import * as ofOwners from '../owner-model/scenario.ts'
import { World as WorldOfOwners } from '../owner-model/world.ts'
import * as ofRequests from './scenario.ts'
import { World } from './world.ts'

/** A model: its scenarios, how one is played, and how it reads. */
export interface Model<Scenario> {
  readonly scenarios: fc.Arbitrary<Scenario>
  readonly play: (scenario: Scenario, store: SessionStore) => Promise<void>
  readonly told: (scenario: Scenario) => string
}

/** Requests of sessions whose owners sign in by `signIn`. */
export const requests: Model<ofRequests.Scenario> = {
  scenarios: ofRequests.someScenario,
  play: (scenario, store) => new World(scenario, store).play(),
  told: ofRequests.told,
}

/** Requests of sessions whose owners data names: the option `owner`. */
export const owners: Model<ofOwners.Scenario> = {
  scenarios: ofOwners.someScenario,
  play: (scenario, store) => new WorldOfOwners(scenario, store).play(),
  told: ofOwners.told,
}

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

/** Plays scenarios of a model until one fails. `open` gives the store of each. */
export async function explore<Scenario extends { readonly outside: readonly unknown[] }>(
  { scenarios, play, told }: Model<Scenario>,
  open: () => SessionStore,
  { runs, seed, path, limit, outside = true }: Journey,
): Promise<Exploration> {
  const wanted = outside ? scenarios : scenarios.map((scenario) => ({ ...scenario, outside: [] }))
  const property = fc.asyncProperty(wanted, (scenario) => play(scenario, open()))
  const found = await fc.check(property, {
    numRuns: runs,
    seed,
    ...(path === undefined ? {} : { path }),
    ...(limit === undefined ? {} : { interruptAfterTimeLimit: limit }),
  })
  return { runs: found.numRuns, seed, counterexample: found.counterexample === null ? undefined : report(found, told) }
}

function report<Scenario>(
  { counterexample, counterexamplePath, errorInstance, seed }: fc.RunDetails<[Scenario]>,
  told: Model<Scenario>['told'],
): string {
  const [scenario] = counterexample ?? []
  const what =
    errorInstance instanceof Error
      ? errorInstance.message !== ''
        ? errorInstance.message
        : String(errorInstance.stack)
      : String(errorInstance)
  return `${what}\n${scenario === undefined ? '' : told(scenario)}\n  again: --seed ${seed} --path ${String(counterexamplePath)}`
}
