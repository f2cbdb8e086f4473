// The keys of session.data, and what an update or an heir of it shows.
import test from 'ava'
import { ABSENT } from '../../src/record/changes.ts'
import type { Core } from '../../src/session/core.ts'
import { Data } from '../../src/session/data.ts'
import { RunningUpdate } from '../../src/session/inside-update.ts'
import { applyAll, dataOf, json, OPEN, plain, STORED, wanted, type Loose } from '../support/data.ts'

test('a key that this request and another one added is listed once', (t) => {
  for (const move of [
    (data: Data) => data.settle({ theme: 'dark', n: 1 }, []),
    (data: Data) => data.detach({ theme: 'dark', n: 1 }, []),
  ]) {
    const { data, view } = dataOf({ n: 1 })
    Object.assign(view, { theme: 'light', z: 1 })
    move(data)

    t.deepEqual(Object.keys(view), ['theme', 'n', 'z'])
    t.is(JSON.stringify(view), '{"theme":"light","n":1,"z":1}')
    t.deepEqual({ ...view }, { theme: 'light', n: 1, z: 1 })
  }
})

test('a key that this request wrote is listed though another one deleted it meanwhile', (t) => {
  for (const move of [(data: Data) => data.settle({}, []), (data: Data) => data.detach({}, [])]) {
    const { data, view } = dataOf({ n: 1 })
    view['n'] = 2
    move(data)

    t.deepEqual(Object.keys(view), ['n'])
    t.deepEqual({ ...view }, { n: 2 })
  }
})

test('keys are listed in the order in which the next request will find them: stored ones, then new ones, indexes first', (t) => {
  const snapshot = { b: 1, 7: 1, a: 1 }
  const { data, view } = dataOf(snapshot)
  Object.assign(view, { z: 1, 3: 1 })
  delete view['b']
  view['b'] = 2

  t.deepEqual(Object.keys(view), ['3', '7', 'b', 'a', 'z'])
  t.deepEqual(Object.keys(applyAll(snapshot, data.changes())), Object.keys(view))
})

test('while an update runs, data shows what it works on, and afterwards its own again', async (t) => {
  const core = { running: 0 } as unknown as Core
  const session = { ...OPEN, core }
  const { data, view } = dataOf(STORED, json, session)
  const working = new Data({ n: 5 }, json)
  await new RunningUpdate(core, session.publicId, working, undefined, session).run(() => {
    view['more'] = 1
    delete view['n']
    Object.defineProperty(view, 'defined', { value: 1, writable: true, enumerable: true, configurable: true })

    t.deepEqual({ ...view }, { more: 1, defined: 1 })
    t.false('n' in view)
  })
  t.deepEqual({ ...view }, plain())
  t.is(data.changes().length, 0)
  t.deepEqual(wanted({ data: working }), { n: ABSENT, more: 1, defined: 1 })
})

test('each write asks once whether it may', (t) => {
  let asked = 0
  const { data, view } = dataOf(STORED, json, {
    ...OPEN,
    get phase() {
      asked++
      return 'open' as const
    },
  })
  asked = 0
  view['n'] = 2
  delete view['n']
  Object.defineProperty(view, 'm', { value: 1, writable: true, enumerable: true, configurable: true })
  data.replaceAll({ many: 1, keys: 2 })

  t.is(asked, 4)
})

test('an object that inherits from data keeps its own properties itself, and heeds those that are fixed', (t) => {
  const { data, view } = dataOf(STORED)
  const child = Object.create(view) as Loose
  child['n'] = 5
  Object.defineProperty(child, 'fixed', { value: 1 })

  t.is(child['n'], 5)
  t.is(child['name'], 'ada')
  t.false(Reflect.set(child, 'fixed', 2))
  t.is(data.changes().length, 0)
})
