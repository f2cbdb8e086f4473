// fast-check for AVA: a property that does not hold is told with its counterexample.
import fc from 'fast-check'

/** `undefined` where the property holds, otherwise the smallest counterexample that was found. */
export function counterexample<Values extends [unknown, ...unknown[]]>(
  property: fc.IProperty<Values>,
  numRuns = 300,
): string | undefined {
  const found = fc.check(property, { numRuns })
  return found.failed ? fc.stringify([found.counterexample, found.errorInstance]) : undefined
}
