import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel, type TracingChannelSubscribers } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { spans, trace } from '../../src/trace.ts'
import { SessionError } from '../../src/errors.ts'

const KINDS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

/** What the channels of a span publish. They belong to the process, so these tests are serial. */
function listen(t: ExecutionContext, name: string): { kinds: string[]; contexts: Set<unknown> } {
  const kinds: string[] = []
  const contexts = new Set<unknown>()
  const channel = tracingChannel<unknown, object>(`koa-fastsession:${name}`)
  const handlers = Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      (context: unknown) => {
        kinds.push(kind)
        contexts.add(context)
      },
    ]),
  ) as unknown as TracingChannelSubscribers<object>
  channel.subscribe(handlers)
  t.teardown(() => {
    channel.unsubscribe(handlers)
  })
  return { kinds, contexts }
}

test.serial('a span of an answer at once has a start and an end, and no result', (t) => {
  const { kinds, contexts } = listen(t, 'store')
  const context = { operation: 'read' }

  t.true(spans.store.hasSubscribers)
  t.is(
    trace('store', context, () => 5),
    5,
  )
  t.deepEqual(kinds, ['start', 'end'])
  t.deepEqual([...contexts], [context])
  t.deepEqual(context, { operation: 'read' })
})

test.serial("a span of a promise has Node's four events, one context, and no result", async (t) => {
  const { kinds, contexts } = listen(t, 'load')

  t.is(await trace('load', {}, () => Promise.resolve(5)), 5)
  t.deepEqual(kinds, ['start', 'end', 'asyncStart', 'asyncEnd'])
  t.deepEqual([...contexts], [{ isPending: true }])
})

test.serial('a failure is shown without what it may quote', async (t) => {
  const { kinds, contexts } = listen(t, 'commit')
  const error = new SessionError('ERR_SESSION_STORE', 'the store failed', { cause: new Error('PRIVATE') })

  await t.throwsAsync(async () => trace('commit', {}, () => Promise.reject(error)), { is: error })
  t.throws(
    () =>
      trace('commit', {}, () => {
        throw new TypeError('PRIVATE')
      }),
    { instanceOf: TypeError },
  )
  t.deepEqual(kinds, ['start', 'end', 'error', 'asyncStart', 'asyncEnd', 'start', 'error', 'end'])
  const shown = inspect([...contexts], { depth: 9 })
  t.false(shown.includes('PRIVATE'))
  t.regex(shown, /the store failed/)
  t.regex(shown, /TypeError/)
})

test.serial('a store bound to a span is seen in it', async (t) => {
  listen(t, 'store')
  const storage = new AsyncLocalStorage<object>()
  const { start } = tracingChannel('koa-fastsession:store')
  start.bindStore(storage)
  t.teardown(() => void start.unbindStore(storage))
  const context = { operation: 'read' }

  t.is(
    await trace('store', context, async () => {
      await Promise.resolve()
      return storage.getStore()
    }),
    context,
  )
  t.is(storage.getStore(), undefined)
})
