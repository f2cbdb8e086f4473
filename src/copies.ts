// A program may have this package twice: by import and by require, or in two versions. What such copies know of each other.

/** Makes `instanceof` a class of errors hold for those of the same class of another copy of this package. */
export function markClass(errorClass: ErrorClass, mark: symbol): void {
  Object.defineProperty(errorClass.prototype, mark, { value: true })
  Object.defineProperty(errorClass, Symbol.hasInstance, {
    value(this: ErrorClass, value: unknown): boolean {
      // A class below inherits this, and has instances of its own.
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
