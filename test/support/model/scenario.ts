// The description of one run: the requests and calls, and the order of events.
import fc from 'fast-check'
import type { SessionOptions } from '../../../src/index.ts'

export const KEYS = ['a', 'b', 'list', 'n'] as const
export type Key = (typeof KEYS)[number]
/** Keys that are set to unique values. `list` is pushed to, `n` is incremented. */
export type Plain = 'a' | 'b'

export type Keep = boolean | readonly Key[]

/** One thing that a handler does. */
export type Step =
  | { readonly do: 'read' | 'delete'; readonly key: Key }
  | { readonly do: 'set'; readonly key: Plain }
  | { readonly do: 'push' | 'clear' | 'assign' | 'id' | 'wait' | 'save' | 'reload' | 'destroy' }
  | { readonly do: 'put' | 'take'; readonly key: Plain }
  | { readonly do: 'update'; readonly waits: boolean }
  /** The function of `update` throws. */
  | { readonly do: 'fail' }
  | { readonly do: 'regenerate'; readonly keep: Keep }
  | { readonly do: 'signIn'; readonly owner: string; readonly keep: Keep }
  /** Sets the session's own lifetime. */
  | { readonly do: 'maxAge'; readonly minutes: number }

/** One call from outside of requests. */
export interface Call {
  readonly do: 'update' | 'updateAll' | 'destroyEverything'
  /** For `update`: the session that this browser has when the call begins. */
  readonly browser: number
  /** For `updateAll`: the owner of the sessions. */
  readonly owner: string
  readonly house: number
  /** Whether the function of the update waits. */
  readonly waits: boolean
}

/** One request. */
export interface Errand {
  /** The browser whose cookie it sends. */
  readonly browser: number
  /** Which of the two middlewares over the store serves it: they stand for two processes. */
  readonly house: number
  readonly steps: readonly Step[]
  /** How its handler ends: it returns, or throws an error of this status. */
  readonly end: 'returns' | 403 | 500
  /** Whether it goes on after a refusal. */
  readonly catches: boolean
}

/** Something that happens between requests. */
export type Event = { readonly passes: number } | 'a new key'

export interface Scenario {
  readonly onConflict: 'merge' | 'throw'
  /** The index in {@link LIFETIMES}. */
  readonly lifetime: number
  /** Where a store call waits for its turn: before it happens, before it happens and before its answer, or nowhere. */
  readonly calls: 'before' | 'around' | 'at once'
  /** Whether each browser has a session at the start. */
  readonly begun: readonly boolean[]
  /** The owner of these sessions, if any. */
  readonly owner: string | undefined
  readonly errands: readonly Errand[]
  readonly outside: readonly Call[]
  readonly events: readonly Event[]
  readonly choices: readonly number[]
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

export interface Lifetime {
  readonly options: Pick<SessionOptions, 'maxAge' | 'rolling' | 'absoluteTimeout'>
  readonly idle: number
  readonly absolute: number
  /** The absolute end that a session's own lifetime cannot exceed. */
  readonly cap: number
}

export const LIFETIMES: readonly [Lifetime, ...Lifetime[]] = [
  { options: {}, idle: 2 * HOUR, absolute: 24 * HOUR, cap: Infinity },
  { options: { maxAge: '1h' }, idle: HOUR, absolute: HOUR, cap: Infinity },
  { options: { maxAge: '1h', rolling: true, absoluteTimeout: '3h' }, idle: HOUR, absolute: 3 * HOUR, cap: 3 * HOUR },
]

// A second, and enough to pass: a late request, a tombstone, a due touch, one idle timeout, the other one, and a day.
const PASSES = [SECOND, 11 * SECOND, 61 * SECOND, 13 * MINUTE, 61 * MINUTE, 121 * MINUTE, 25 * HOUR]

const someKey = fc.constantFrom(...KEYS)
const plainKey = fc.constantFrom<Plain>('a', 'b')
const someKeep = fc.oneof(
  { weight: 4, arbitrary: fc.constant(true) },
  { weight: 1, arbitrary: fc.constant(false) },
  { weight: 1, arbitrary: fc.subarray([...KEYS]) },
)

const someStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read'), key: someKey }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set'), key: plainKey }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete'), key: someKey }) },
  { weight: 4, arbitrary: fc.constant({ do: 'push' }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'clear' }, { do: 'assign' }, { do: 'id' }) },
  { weight: 2, arbitrary: fc.constant({ do: 'wait' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('put', 'take'), key: plainKey }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('update'), waits: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'fail' }) },
  { weight: 2, arbitrary: fc.constant({ do: 'save' }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reload' }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('regenerate'), keep: someKeep }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('signIn'), owner: fc.constantFrom('ada', 'bob'), keep: someKeep }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'destroy' }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('maxAge'), minutes: fc.constantFrom(10, 150) }) },
)

const someCall: fc.Arbitrary<Call> = fc.record({
  do: fc.oneof(
    { weight: 3, arbitrary: fc.constant('update' as const) },
    { weight: 3, arbitrary: fc.constant('updateAll' as const) },
    { weight: 1, arbitrary: fc.constant('destroyEverything' as const) },
  ),
  browser: fc.constantFrom(0, 0, 0, 1),
  owner: fc.constantFrom('ada', 'ada', 'bob'),
  house: fc.nat(1),
  waits: fc.boolean(),
})

const someErrand: fc.Arbitrary<Errand> = fc.record({
  browser: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  house: fc.nat(1),
  steps: fc.array(someStep, { minLength: 1, maxLength: 5, size: 'max' }),
  end: fc.oneof(
    { weight: 6, arbitrary: fc.constant('returns' as const) },
    { weight: 1, arbitrary: fc.constantFrom(403 as const, 500 as const) },
  ),
  catches: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
})

const someEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ passes: fc.constantFrom(...PASSES) }) },
  { weight: 1, arbitrary: fc.constant('a new key' as const) },
)

export const someScenario: fc.Arbitrary<Scenario> = fc.record({
  onConflict: fc.constantFrom('merge', 'throw'),
  lifetime: fc.nat(LIFETIMES.length - 1),
  calls: fc.constantFrom('before', 'around', 'at once'),
  begun: fc.tuple(
    fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    fc.boolean(),
  ),
  owner: fc.constantFrom(undefined, 'ada'),
  errands: fc.array(someErrand, { minLength: 2, maxLength: 5, size: 'max' }),
  outside: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 3, arbitrary: fc.array(someCall, { minLength: 1, maxLength: 2, size: 'max' }) },
  ),
  events: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(someEvent, { maxLength: 3, size: 'max' }) },
  ),
  choices: fc.array(fc.nat(4), { maxLength: 120, size: 'max' }),
})

/** A scenario in readable form, one request per line. */
export function told({ errands, outside, ...rest }: Scenario): string {
  const lines = errands.map(({ browser, house, steps, end, catches }, at) => {
    const text = steps
      .map(({ do: verb, ...details }) =>
        [verb, ...Object.values(details).map((value) => JSON.stringify(value))].join(' '),
      )
      .join(', ')
    return `  request ${at}, browser ${browser}, middleware ${house}: ${text}; ${end === 'returns' ? end : `throws ${end}`}${catches ? ', going on after refusals' : ''}`
  })
  const { onConflict, lifetime, calls, begun, owner, events, choices } = rest
  return [
    `  ${onConflict}, owner ${String(owner)}, lifetimes ${JSON.stringify(LIFETIMES[lifetime]?.options)}, store calls wait ${calls}, sessions begun ${JSON.stringify(begun)}`,
    ...lines,
    ...outside.map((call) => `  from outside: ${JSON.stringify(call)}`),
    `  meanwhile ${JSON.stringify(events)}, turns ${JSON.stringify(choices)}`,
  ].join('\n')
}
