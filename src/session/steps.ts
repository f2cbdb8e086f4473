// One text for stores that answer at once and for those that answer later: a generator that yields only what it must
// wait for. With a store in memory a whole commit is one synchronous step, so no other request of this process can
// come between its reading and its writing, and no promise is paid for.

/** An answer that is there, or a promise of it. */
export type Maybe<T> = T | Promise<T>

/** Work that pauses at every promise it yields. */
export type Steps<T> = Generator<Promise<unknown>, T, unknown>

/** Whether an answer is still to come. */
export function isPromise<T>(answer: Maybe<T>): answer is Promise<T> {
  return typeof answer === 'object' && answer !== null && 'then' in answer && typeof answer.then === 'function'
}

/** Waits for an answer, if it is still to come. */
export function* settled<T>(answer: Maybe<T>): Steps<T> {
  // What a promise of T resolves to is a T; a generator's `yield` cannot say so.
  return isPromise(answer) ? ((yield answer) as T) : answer
}

/** Takes the steps: at once as far as nothing has to be waited for. */
export function take<T>(steps: Steps<T>): Maybe<T> {
  const step = steps.next()
  return step.done === true ? step.value : takeOn(steps, step.value)
}

async function takeOn<T>(steps: Steps<T>, first: Promise<unknown>): Promise<T> {
  let waiting = first
  for (;;) {
    let step: IteratorResult<Promise<unknown>, T>
    try {
      const answer = await waiting
      step = steps.next(answer)
    } catch (error) {
      step = steps.throw(error)
    }
    if (step.done === true) return step.value
    waiting = step.value
  }
}
