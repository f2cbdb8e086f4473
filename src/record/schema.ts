// Validates data by a Standard Schema of any library.
import type { Codec } from './codec.ts'
import { setOwn, type Snapshot } from './changes.ts'
import { isData } from './json-value.ts'
import { firstOf, printable, SessionError } from '../errors.ts'
import { isObject } from '../store.ts'

/** The part of the Standard Schema interface (standardschema.dev) that is used: zod, valibot, arktype and others have it. */
export interface StandardSchema<Output = unknown> {
  /** The property that such a library defines. */
  readonly '~standard': {
    /** Answers at once or with a promise. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  }
}

/** The result of a Standard Schema. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** One issue that a Standard Schema found. */
export interface SchemaIssue {
  /** May quote data, so it is never shown. */
  readonly message: string
  /** The path in data, which the error names. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * The schema's output for a copy of data.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA` when data does not satisfy the schema (naming the paths at fault, never the
 * values), when the schema throws, and when its output is no plain object.
 */
export async function validated(schema: StandardSchema, data: Snapshot, codec: Codec): Promise<Snapshot> {
  // A schema may write into its argument.
  const copy = codec.lend(data, [])
  let answer: Snapshot | string
  try {
    answer = dataOrFault(await schema['~standard'].validate(copy))
  } catch (error) {
    // The error may quote data, so it is not made the cause of this one: causes are logged.
    const kind = error instanceof TypeError || error instanceof RangeError ? ` a ${error.constructor.name}` : ''
    answer = `options.schema threw${kind} instead of answering: mend the schema, or let it answer with issues`
  }
  if (typeof answer === 'string') throw new SessionError('ERR_SESSION_SCHEMA', answer)
  return answer
}

/** The schema's output, or what is wrong with it. Getters of its result run here, where the caller catches what they throw. */
function dataOrFault(result: unknown): Snapshot | string {
  if (!isObject(result))
    return 'options.schema gave no result: it must answer as the Standard Schema says, with a value or with issues'
  const { issues, value } = result as { readonly issues?: unknown; readonly value?: unknown }
  if (issues !== undefined)
    return `session data does not satisfy options.schema at ${pathsOf(issues)}: let the schema transform stored data of an older shape, or write data that fits`
  if (!isData(value))
    return 'options.schema must make a plain object of session data: not a list, a Map or an instance of a class'
  return value
}

/**
 * A copy of a schema's output.
 *
 * @throws {SessionError} `ERR_SESSION_VALUE` where the codec cannot keep it: a Date, say, with JSON.
 */
export function storable(output: Snapshot, codec: Codec): Snapshot {
  const data: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(output)) {
    const kept = value === undefined ? value : codec.copy(value, 'session.data', key)
    if (kept !== undefined) setOwn(data, key, kept)
  }
  return data
}

// An app's own schema may answer anything: an issue without a path names data as a whole, and a key may hold anything, line ends too.
function pathsOf(issues: unknown): string {
  const paths = new Set((Array.isArray(issues) ? (issues as unknown[]) : []).map(pathOf))
  return firstOf([...paths], printable) || 'data'
}

function pathOf(issue: unknown): string {
  const path: unknown = isObject(issue) && 'path' in issue ? issue.path : undefined
  const steps = Array.isArray(path) ? (path as unknown[]) : []
  const keys = steps.map((step) => (isObject(step) && 'key' in step ? step.key : step))
  const names = keys.map((key) =>
    ['string', 'number', 'symbol'].includes(typeof key) ? String(key as PropertyKey) : '?',
  )
  return ['data', ...names].join('.').slice(0, 200)
}
