// The description of one run with the option `owner`: who names an owner in data, who changes what beside, and in which order.
import fc from 'fast-check'
import { LIFETIMES } from '../model/scenario.ts'

export type Owner = 'ada' | 'bob'
/** Keys that are set to unique values. */
export type Plain = 'a' | 'b'

export interface Data {
  /** Names the owner. It is an object, which requests also change in place. */
  user?: { name: Owner; city?: string }
  /** With `by: 'either'`, names the owner where `user` does not. */
  alias?: Owner
  a?: string
  /** An object, which requests also change in place. */
  b?: { value: string }
  n?: number
}

export const KEYS = ['user', 'alias', 'a', 'b', 'n'] as const

/** Which keys of data name the owner. */
export type By = 'user' | 'either'

/** The owner that data names. */
export function ownerIn(by: By, { user, alias }: Data): Owner | undefined {
  return by === 'user' ? user?.name : (user?.name ?? alias)
}

export type Keep = boolean | readonly (keyof Data)[]

/** What the function of an update does beside counting: it signs somebody in, or out (`null`). */
export type Names = Owner | null | undefined

/** One thing that a handler does. */
export type Step =
  | { readonly do: 'set' | 'delete' | 'put' | 'take'; readonly key: Plain }
  /** Signs in: `user` becomes another object. */
  | { readonly do: 'name'; readonly owner: Owner }
  /** Signs in: the name changes in the object that is there. */
  | { readonly do: 'rename'; readonly owner: Owner }
  | { readonly do: 'alias'; readonly owner: Owner }
  /** Changes an object in place; the one that names the owner keeps the name. */
  | { readonly do: 'move'; readonly key: 'user' | 'b' }
  /** Signs out. */
  | { readonly do: 'leave'; readonly key: 'user' | 'alias' }
  /** Replaces all data; perhaps signs in. */
  | { readonly do: 'assign'; readonly owner: Owner | undefined }
  | { readonly do: 'read' | 'clear' | 'wait' | 'save' | 'reload' | 'destroy' }
  | { readonly do: 'update'; readonly names: Names; readonly waits: boolean }
  /** The function of `update` throws. */
  | { readonly do: 'fail' }
  | { readonly do: 'regenerate'; readonly keep: Keep }
  /** Sets the session's own lifetime. */
  | { readonly do: 'maxAge'; readonly minutes: number }

/** One request. */
export interface Errand {
  /** The browser whose cookie it sends. */
  readonly browser: number
  /** Which of the two middlewares over the store serves it: they stand for two processes. */
  readonly house: number
  /** Whether it comes by `run()`, outside Koa's chain, where no cookie can be sent. */
  readonly isOutsideChain: boolean
  /** Whether it is no activity of its user. */
  readonly isPassive: boolean
  readonly steps: readonly Step[]
  /** How its handler ends: it returns, or throws an error of this status. */
  readonly end: 'returns' | 403 | 500
  /** Whether it goes on after a refusal. */
  readonly catches: boolean
}

/** One call from outside of requests. */
export interface Call {
  readonly do: 'update' | 'updateAll' | 'destroy' | 'destroyAll' | 'list'
  /** For `update` and `destroy`: the session that this browser has when the call begins. */
  readonly browser: number
  /** For the others the owner; for `update` and `destroy`, the owner who must hold the session, if any. */
  readonly owner: Owner
  readonly asksOwner: boolean
  readonly house: number
  readonly names: Names
  readonly waits: boolean
}

export interface Scenario {
  readonly by: By
  readonly onConflict: 'merge' | 'throw'
  /** The index in {@link LIFETIMES}. */
  readonly lifetime: number
  /** Where a store call waits for its turn: before it happens, before it happens and before its answer, or nowhere. */
  readonly calls: 'before' | 'around' | 'at once'
  /** Whether each browser has a session at the start, and the owner of it. */
  readonly begun: readonly ('none' | 'nobody' | Owner)[]
  /** How long ago these sessions began, in milliseconds. */
  readonly age: number
  readonly errands: readonly Errand[]
  readonly outside: readonly Call[]
  /** How many milliseconds pass between requests, and between two steps of one. */
  readonly passes: readonly number[]
  readonly choices: readonly number[]
}

const SECOND = 1000
const MINUTE = 60 * SECOND

// A second, and enough to pass: a late request, a tombstone, a due touch, one idle timeout, the other one, and a day.
const PASSES = [SECOND, 11 * SECOND, 61 * SECOND, 13 * MINUTE, 61 * MINUTE, 121 * MINUTE, 25 * 60 * MINUTE]

const plainKey = fc.constantFrom<Plain>('a', 'b')
const someOwner = fc.constantFrom<Owner>('ada', 'ada', 'bob')
const someNames = fc.constantFrom<Names>(undefined, undefined, 'ada', 'ada', 'bob', null)
const someKeep = fc.constantFrom<Keep>(true, true, true, false, ['user', 'a'], ['alias', 'a', 'n'], ['a', 'b'])

const someStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set'), key: plainKey }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('name'), owner: someOwner }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rename'), owner: someOwner }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('alias'), owner: someOwner }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('move'), key: fc.constantFrom('user', 'b') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('leave'), key: fc.constantFrom('user', 'user', 'alias') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('assign'), owner: fc.option(someOwner, { nil: undefined }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('delete', 'put', 'take'), key: plainKey }) },
  { weight: 3, arbitrary: fc.constantFrom({ do: 'read' }, { do: 'read' }, { do: 'clear' }) },
  { weight: 3, arbitrary: fc.constant({ do: 'wait' }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('update'), names: someNames, waits: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'fail' }) },
  { weight: 4, arbitrary: fc.constant({ do: 'save' }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reload' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('regenerate'), keep: someKeep }) },
  { weight: 1, arbitrary: fc.constant({ do: 'destroy' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('maxAge'), minutes: fc.constantFrom(10, 150) }) },
)

const someErrand: fc.Arbitrary<Errand> = fc.record({
  browser: fc.constantFrom(0, 0, 0, 0, 1),
  house: fc.nat(1),
  isOutsideChain: fc.constantFrom(false, false, false, false, false, true),
  isPassive: fc.constantFrom(false, false, false, true),
  steps: fc.array(someStep, { minLength: 1, maxLength: 4, size: 'max' }),
  end: fc.constantFrom<Errand['end'][]>('returns', 'returns', 'returns', 'returns', 'returns', 'returns', 403, 500),
  catches: fc.constantFrom(false, false, false, true),
})

const someCall: fc.Arbitrary<Call> = fc.record({
  do: fc.constantFrom('update', 'updateAll', 'destroy', 'destroyAll', 'list'),
  browser: fc.constantFrom(0, 0, 0, 1),
  owner: someOwner,
  asksOwner: fc.boolean(),
  house: fc.nat(1),
  names: someNames,
  waits: fc.boolean(),
})

export const someScenario: fc.Arbitrary<Scenario> = fc.record({
  by: fc.constantFrom('user', 'user', 'either'),
  onConflict: fc.constantFrom('merge', 'merge', 'throw'),
  lifetime: fc.constantFrom(0, 0, 1, 2),
  calls: fc.constantFrom('before', 'around', 'at once'),
  begun: fc.tuple(fc.constantFrom('nobody', 'nobody', 'ada', 'bob', 'none'), fc.constantFrom('nobody', 'ada', 'none')),
  age: fc.constantFrom(0, SECOND, 13 * MINUTE, 50 * MINUTE),
  errands: fc.array(someErrand, { minLength: 2, maxLength: 5, size: 'max' }),
  outside: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(someCall, { minLength: 1, maxLength: 2, size: 'max' }) },
  ),
  passes: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom(...PASSES), { maxLength: 3, size: 'max' }) },
  ),
  choices: fc.array(fc.nat(4), { maxLength: 120, size: 'max' }),
})

/** A scenario in readable form, one request per line. */
export function told({ errands, outside, ...rest }: Scenario): string {
  const { by, onConflict, lifetime, calls, begun, age, passes, choices } = rest
  const text = ({ do: verb, ...details }: { readonly do: string }): string =>
    [verb, ...Object.entries(details).map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(' ')
  return [
    `  owner by ${by}, ${onConflict}, lifetimes ${JSON.stringify(LIFETIMES[lifetime]?.options)}, store calls wait ${calls}, begun ${begun.join()} ${age} ms ago`,
    ...errands.map(
      ({ browser, house, isOutsideChain, isPassive, steps, end, catches }, at) =>
        `  request ${at}, browser ${browser}, middleware ${house}${isOutsideChain ? ', by run()' : ''}${isPassive ? ', passive' : ''}: ${steps.map(text).join('; ')}; ${end === 'returns' ? end : `throws ${end}`}${catches ? ', going on after refusals' : ''}`,
    ),
    ...outside.map((call) => `  from outside: ${text(call)}`),
    `  meanwhile pass ${JSON.stringify(passes)}, turns ${JSON.stringify(choices)}`,
  ].join('\n')
}
