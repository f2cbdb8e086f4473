// Where handlers and templates find the manager: `ctx.state.session`, a property that can be read and not be assigned.
import { sessionInContext } from '../context.ts'
import { invalidMix } from '../errors.ts'

interface Slot {
  /** Puts the manager into its state; one that is there already is replaced. */
  readonly put: (state: object, manager: object) => void
  readonly property: PropertyDescriptor
}

/** One for each state key, which are as few as there are middlewares. */
const slots = new Map<string, Slot>()

/**
 * Shows a manager at `ctx.state[stateKey]`: enumerable, so that templates see it. Assigning something else there is a TypeError
 * that says what to do, in sloppy code too. Called again it shows another manager.
 */
export function exposeOnState(state: object, stateKey: string, manager: object): void {
  let slot = slots.get(stateKey)
  if (slot === undefined) slots.set(stateKey, (slot = slotFor(stateKey)))
  slot.put(state, manager)
  Object.defineProperty(state, stateKey, slot.property)
}

/** Makes a given object take part in private fields of a class that extends this. */
class Foreign {
  constructor(object: object) {
    // eslint-disable-next-line no-constructor-return -- what the fields are put on
    return object
  }
}

// A getter of each request's own would cost a microsecond: all states share one, and the manager is in a private field, which
// spread and print-outs do not see.
function slotFor(stateKey: string): Slot {
  class Holder extends Foreign {
    #manager: object

    constructor(state: object, manager: object) {
      super(state)
      this.#manager = manager
    }

    static put(state: object, manager: object): void {
      if (#manager in state) state.#manager = manager
      else new Holder(state, manager)
    }

    static managerOf(state: unknown): object | undefined {
      // An object that inherits from a state shows what that shows.
      for (
        let at = state as object | null;
        at !== null && at !== undefined;
        at = Object.getPrototypeOf(at) as object | null
      )
        if (#manager in at) return at.#manager
      // A proxy of it has no private fields.
      return sessionInContext(stateKey) as object | undefined
    }
  }
  return {
    put: (state, manager) => Holder.put(state, manager),
    property: {
      configurable: true,
      enumerable: true,
      get(this: unknown) {
        return Holder.managerOf(this)
      },
      set(this: unknown, value: unknown) {
        // As Object.assign(ctx.state, copyOfIt) does.
        if (value === Holder.managerOf(this)) return
        throw invalidMix(
          `ctx.state.${stateKey} cannot be assigned: session.data = { ... } replaces the data, session.clear() empties it, await session.destroy() ends the session`,
        )
      },
    },
  }
}
