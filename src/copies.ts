// A program may load this package twice: by import and by require, or in two versions. The copies recognise each other's errors.

/** Makes `instanceof` an error class hold for errors of the same class in another copy of this package. */
export function markClass(errorClass: ErrorClass, mark: symbol): void {
  Object.defineProperty(errorClass.prototype, mark, { value: true })
  Object.defineProperty(errorClass, Symbol.hasInstance, {
    value(this: ErrorClass, value: unknown): boolean {
      // A subclass inherits this function, but is checked in the ordinary way.
      if (this !== errorClass) return Function.prototype[Symbol.hasInstance].call(this, value)
      try {
        return typeof value === 'object' && value !== null && mark in value
      } catch {
        return false // a proxy that refuses to say
      }
    },
  })
}

type ErrorClass = { readonly prototype: Error } & (abstract new (...args: never[]) => Error)
