// Data against a Standard Schema, from whatever library.
import type { Codec } from './codec.ts'
import { setOwn, type Snapshot } from './changes.ts'
import { isData } from './json-value.ts'
import { printable, SessionError } from '../errors.ts'

/** The part of the Standard Schema interface (standardschema.dev) that is used: zod, valibot, arktype and others have it. */
export interface StandardSchema<Output = unknown> {
  /** What such a library puts there. */
  readonly '~standard': {
    /** Answers at once or with a promise. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  }
}

/** What a Standard Schema answers. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** One thing that a Standard Schema found. */
export interface SchemaIssue {
  /** It may quote data, so it is shown nowhere. */
  readonly message: string
  /** Where in data: this the error names. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** How many paths an error names. */
const MAX_PATHS = 10

/**
 * What a schema makes of a copy of data.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA` when data does not satisfy it (naming the paths at fault, never the values), when
 * it throws by itself, and when it makes no plain object.
 */
export async function validated(schema: StandardSchema, data: Snapshot, codec: Codec): Promise<Snapshot> {
  // A schema may write into what it is given.
  const copy = codec.lend(data, [])
  let answer: Snapshot | string
  try {
    answer = dataOrFault(await schema['~standard'].validate(copy))
  } catch (error) {
    // What it threw may quote data, so it is no cause of this error: causes are logged.
    const kind = error instanceof TypeError || error instanceof RangeError ? ` a ${error.constructor.name}` : ''
    answer = `options.schema threw${kind} instead of answering: mend the schema, or let it answer with issues`
  }
  if (typeof answer === 'string') throw new SessionError('ERR_SESSION_SCHEMA', answer)
  return answer
}

/** What the schema made, or what is wrong with it. Whatever a schema computes as it is looked at, it computes here. */
function dataOrFault(result: unknown): Snapshot | string {
  if (typeof result !== 'object' || result === null)
    return 'options.schema gave no result: it must answer as the Standard Schema says, with a value or with issues'
  const { issues, value } = result as { readonly issues?: unknown; readonly value?: unknown }
  if (issues !== undefined)
    return `session data does not satisfy options.schema at ${pathsOf(issues)}: let the schema transform stored data of an older shape, or write data that fits`
  if (!isData(value))
    return 'options.schema must make a plain object of session data: not a list, a Map or an instance of a class'
  return value
}

/**
 * A copy of what a schema made.
 *
 * @throws {SessionError} `ERR_SESSION_VALUE` where the codec cannot keep it: a Date, say, with JSON.
 */
export function storable(output: Snapshot, codec: Codec): Snapshot {
  const data: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(output))
    if (value !== undefined) setOwn(data, key, codec.copy(value, `session.data.${key}`))
  return data
}

// Schemas of an app's own may answer anything: what is no path names none.
function pathsOf(issues: unknown): string {
  const paths = new Set((Array.isArray(issues) ? (issues as unknown[]) : []).map(pathOf))
  const named = [...paths].slice(0, MAX_PATHS).join(', ')
  return paths.size === 0 ? 'data' : paths.size > MAX_PATHS ? `${named} and ${paths.size - MAX_PATHS} more` : named
}

function pathOf(issue: unknown): string {
  const path: unknown = typeof issue === 'object' && issue !== null && 'path' in issue ? issue.path : undefined
  const steps = Array.isArray(path) ? (path as unknown[]) : []
  const keys = steps.map((step) => (typeof step === 'object' && step !== null && 'key' in step ? step.key : step))
  const names = keys.map((key) =>
    ['string', 'number', 'symbol'].includes(typeof key) ? String(key as PropertyKey) : '?',
  )
  // A key may hold anything, line ends too.
  return printable(['data', ...names].join('.').slice(0, 200))
}
