// Where handlers and templates find the manager: `ctx.state.session`, a property that can be read and not be assigned.
import { invalidMix } from '../errors.ts'

interface Slot {
  /** Where a state keeps its manager. */
  readonly name: symbol
  readonly property: PropertyDescriptor
}

type State = Record<symbol, object | undefined>

/** One for each state key, which are as few as there are middlewares. */
const slots = new Map<string, Slot>()

/**
 * Shows a manager at `ctx.state[stateKey]`: enumerable, so that templates see it. Assigning something else there is a TypeError
 * that says what to do, in sloppy code too. Called again it shows another manager.
 */
export function exposeOnState(state: object, stateKey: string, manager: object): void {
  let slot = slots.get(stateKey)
  if (slot === undefined) slots.set(stateKey, (slot = slotFor(stateKey)))
  // A symbol for a name: what lists the keys of a state lists the one that can be read.
  ;(state as State)[slot.name] = manager
  Object.defineProperty(state, stateKey, slot.property)
}

// All states share one getter and one setter: those of each request's own would cost about a microsecond.
function slotFor(stateKey: string): Slot {
  const name = Symbol(`koa-fastsession.${stateKey}`)
  return {
    name,
    property: {
      configurable: true,
      enumerable: true,
      get(this: State) {
        return this[name]
      },
      set(this: State, value: unknown) {
        // As Object.assign(ctx.state, copyOfIt) does.
        if (value === this[name]) return
        throw invalidMix(
          `ctx.state.${stateKey} cannot be assigned: session.data = { ... } replaces the data, session.clear() empties it, await session.destroy() ends the session`,
        )
      },
    },
  }
}
