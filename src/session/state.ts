// Where handlers and templates find the manager: `ctx.state.session`, a property that can be read and not be assigned.
import { invalidMix } from '../errors.ts'

type State = Record<symbol, object | undefined>

/** Shows a manager in the state of a request; called again, another manager. */
export type Expose = (ctx: { readonly state: object }, manager: object) => undefined

/** One for each state key, which are as few as there are middlewares. */
const known = new Map<string, Expose>()

/**
 * What shows managers at `ctx.state[stateKey]`: enumerable, so that templates see them. Assigning something else there is a
 * TypeError that says what to do, in sloppy code too.
 */
export function exposerOf(stateKey: string): Expose {
  const expose = known.get(stateKey) ?? newExposer(stateKey)
  known.set(stateKey, expose)
  return expose
}

function newExposer(stateKey: string): Expose {
  // Where a state keeps its manager. A symbol: what lists the keys of a state lists the one that can be read.
  const name = Symbol(`koa-fastsession.${stateKey}`)
  // All states share one getter and one setter: those of each request's own would cost about a microsecond.
  const property: PropertyDescriptor & ThisType<State> = {
    configurable: true,
    enumerable: true,
    get() {
      return this[name]
    },
    set(value: unknown) {
      // As Object.assign(ctx.state, copyOfIt) does.
      if (value === this[name]) return
      throw invalidMix(
        `ctx.state.${stateKey} cannot be assigned: session.data = { ... } replaces the data, session.clear() empties it, await session.destroy() ends the session`,
      )
    },
  }
  return ({ state }, manager) => {
    ;(state as State)[name] = manager
    Object.defineProperty(state, stateKey, property)
    return undefined
  }
}
