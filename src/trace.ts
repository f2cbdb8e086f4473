// Spans for tracing tools, by Node's TracingChannel. What a span shows is what the caller names, and an error without what
// it quotes: never a result.
import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import { SessionError } from './errors.ts'
import { failureKind } from './store-failure.ts'
import { isPromise, type MaybePromise } from './store.ts'

/** The name of a span; its channels are those of `tracingChannel('koa-fastsession:' + name)`. */
export type SpanName = 'load' | 'commit' | 'store'

/** Whether a span has subscribers is asked here: it spares a caller the context and the closure. */
export const spans: Readonly<Record<SpanName, TracingChannel>> = {
  load: tracingChannel('koa-fastsession:load'),
  commit: tracingChannel('koa-fastsession:commit'),
  store: tracingChannel('koa-fastsession:store'),
}

/**
 * Runs `fn` in a span, in the async context of its caller; without subscribers a direct call. `context` is what
 * subscribers get, one object for all events of the span: no id and no data in it. Where `fn` fails it gets an `error`;
 * where the answer is a promise, `isPending` before the `end`: `asyncStart` and `asyncEnd` follow once it has settled.
 */
export function trace<T>(name: SpanName, context: object, fn: () => MaybePromise<T>): MaybePromise<T> {
  const span = spans[name]
  return span.hasSubscribers ? traced(span, context, fn) : fn()
}

function traced<T>(span: TracingChannel, context: object, fn: () => MaybePromise<T>): MaybePromise<T> {
  const fail = (error: unknown): void => {
    Object.assign(context, { error: shown(error) })
    span.error.publish(context)
  }
  const settled = (): void => {
    span.asyncStart.publish(context)
    span.asyncEnd.publish(context)
  }
  return span.start.runStores(context, () => {
    try {
      const answer = fn()
      if (!isPromise(answer)) return answer
      // Before `end`, as Node's `result` would: who hears it knows whether an asyncEnd follows.
      Object.assign(context, { isPending: true })
      return answer.then(
        (value) => {
          settled()
          return value
        },
        (error: unknown) => {
          fail(error)
          settled()
          throw error
        },
      )
    } catch (error) {
      fail(error)
      throw error
    } finally {
      span.end.publish(context)
    }
  })
}

/** Message and cause of a foreign error may quote data; the messages of our own errors do not. */
function shown(error: unknown): Error {
  if (error instanceof SessionError) return new SessionError(error.code, error.message)
  return new Error(failureKind(error) ?? 'Error')
}
