// `ctx.state.session`, the read-only property where handlers and templates find the manager.
import { invalidMix } from '../errors.ts'

type State = Record<symbol, object | undefined>

/** Puts a manager into the state of a request; a second call replaces it by another manager. */
export type Expose = (ctx: { readonly state: object }, manager: object) => undefined

/** One for each state key. There are no more keys than middlewares. */
const known = new Map<string, Expose>()

/**
 * A function that puts managers at `ctx.state[stateKey]`. The property is enumerable, so that templates see it. Assigning
 * anything else to it throws a TypeError that says what to do, in sloppy mode too.
 */
export function exposerOf(stateKey: string): Expose {
  const expose = known.get(stateKey) ?? newExposer(stateKey)
  known.set(stateKey, expose)
  return expose
}

function newExposer(stateKey: string): Expose {
  // The state keeps the manager under a symbol, so that listing its keys shows only the readable property.
  const name = Symbol(`koa-fastsession.${stateKey}`)
  // All states share one getter and one setter: a pair per request would cost about a microsecond.
  const property: PropertyDescriptor & ThisType<State> = {
    configurable: true,
    enumerable: true,
    get() {
      return this[name]
    },
    set(value: unknown) {
      // Object.assign(ctx.state, copyOfState) assigns the same manager.
      if (value === this[name]) return
      throw invalidMix(
        `ctx.state.${stateKey} cannot be assigned: session.data = { ... } replaces the data, session.clear() empties it, await session.destroy() ends the session`,
      )
    },
  }
  return ({ state }, manager) => {
    ;(state as State)[name] = manager
    Object.defineProperty(state, stateKey, property)
  }
}
