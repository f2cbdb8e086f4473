// fast-check for AVA: a property that does not hold is reported with its counterexample.
import fc from 'fast-check'

/** The smallest counterexample that was found; `undefined` if the property holds. */
export function counterexample<Values extends [unknown, ...unknown[]]>(
  property: fc.IProperty<Values>,
  numRuns = 300,
): string | undefined {
  const found = fc.check(property, { numRuns })
  return found.failed ? fc.stringify([found.counterexample, found.errorInstance]) : undefined
}
