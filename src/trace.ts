// Spans for tracing tools, by Node's TracingChannel. A span shows what its caller names, and errors without what they may quote,
// but never a result.
import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import { SessionError } from './errors.ts'
import { failureKind } from './store-failure.ts'
import { isPromise, type MaybePromise } from './store.ts'

/** The name of a span; its channels are those of `tracingChannel('koa-fastsession:' + name)`. */
export type SpanName = 'load' | 'commit' | 'store'

/** Callers ask here whether a span has subscribers, which saves them the context and the closure if there are none. */
export const spans: Readonly<Record<SpanName, TracingChannel>> = {
  load: tracingChannel('koa-fastsession:load'),
  commit: tracingChannel('koa-fastsession:commit'),
  store: tracingChannel('koa-fastsession:store'),
}

/**
 * Runs `fn` in a span that has subscribers, in the async context of its caller. They get `context`, one object for all events of
 * the span: it must hold no id and no data. If `fn` fails, `context` gets an `error`. If the answer is a
 * promise, `context` gets `isPending` before the `end`, and `asyncStart` and `asyncEnd` follow once the promise has settled.
 */
export function trace<T>(name: SpanName, context: object, fn: () => MaybePromise<T>): MaybePromise<T> {
  const span = spans[name]
  const fail = (error: unknown): never => {
    // Message and cause of a foreign error may quote data; the messages of our own errors do not.
    const isOurs = error instanceof SessionError
    const shown = isOurs ? new SessionError(error.code, error.message) : new Error(failureKind(error) ?? 'Error')
    Object.assign(context, { error: shown })
    span.error.publish(context)
    throw error
  }
  const settle = async (answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      return fail(error)
    } finally {
      span.asyncStart.publish(context)
      span.asyncEnd.publish(context)
    }
  }
  return span.start.runStores(context, () => {
    try {
      const answer = fn()
      if (!isPromise(answer)) return answer
      // Before `end`, as Node's `result` would be: a subscriber of `end` then knows whether an asyncEnd follows.
      Object.assign(context, { isPending: true })
      return settle(answer)
    } catch (error) {
      return fail(error)
    } finally {
      span.end.publish(context)
    }
  })
}
