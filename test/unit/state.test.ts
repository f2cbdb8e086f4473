import test from 'ava'
import { ContextScope, sessionContext } from '../../src/context.ts'
import { exposerOf } from '../../src/session/state.ts'

interface State {
  session?: unknown
  other?: unknown
  user?: unknown
}

const manager = { is: 'a manager' }

function stateWith(shown: object, stateKey = 'session'): State {
  const state: State = {}
  exposerOf(stateKey)({ state }, shown)
  return state
}

test('a manager on the state is listed, spread and copied as any property', (t) => {
  const state = stateWith(manager)
  state.user = 1

  t.is(state.session, manager)
  t.deepEqual(Object.keys(state), ['session', 'user'])
  t.deepEqual(Object.entries({ ...state }), [
    ['session', manager],
    ['user', 1],
  ])
  t.is(JSON.stringify(state), JSON.stringify({ session: manager, user: 1 }))
})

test('each state shows its own manager, under each state key its own', (t) => {
  const other = { is: 'another' }
  const [one, two] = [stateWith(manager), stateWith(other)]
  exposerOf('other')({ state: one }, other)

  t.deepEqual([one.session, one.other, two.session, two.other], [manager, other, other, undefined])
})

test('exposed again, the state shows the new manager', (t) => {
  const state = stateWith(manager)
  const other = {}
  exposerOf('session')({ state }, other)

  t.is(state.session, other)
})

test('assigning something else throws in strict and in sloppy code, and says what to do', (t) => {
  const state = stateWith(manager)
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the one way to sloppy code in a module
  const sloppy = new Function('state', 'state.session = null') as (state: State) => void

  for (const write of [() => (state.session = {}), () => sloppy(state)])
    t.throws(write, {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_VALUE',
      message: /cannot be assigned: session\.data = /,
    })
  t.notThrows(() => Object.assign(state, { ...state }))
  t.is(state.session, manager)
})

test('an object that inherits from the state shows its manager, and so does a proxy of it within the request', (t) => {
  const state = stateWith(manager)
  const proxy = new Proxy(state, {})

  t.is((Object.create(Object.create(state) as object) as State).session, manager)
  t.is(
    sessionContext.run(new ContextScope(manager, 'session', 'sid', undefined, {}), () => proxy.session),
    manager,
  )
})
