// Data against a Standard Schema, whoever made it.
import { setOwn, type Snapshot } from './merge.ts'
import type { Codec } from './codec.ts'
import { SessionError } from '../errors.ts'
import type { SchemaIssue, StandardSchema } from '../options.ts'

/**
 * What a schema makes of data.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA` naming the paths at fault, never the values.
 */
export async function validated(schema: StandardSchema, data: Snapshot, codec: Codec): Promise<Snapshot> {
  // A schema may write into what it is given.
  const result = await schema['~standard'].validate(codec.lend(data, []))
  if (result.issues !== undefined) {
    const paths = [...new Set(result.issues.map(pathOf))].join(', ')
    throw new SessionError(
      'ERR_SESSION_SCHEMA',
      `session data does not satisfy options.schema at ${paths}: let the schema transform stored data of an older shape, or write data that fits`,
    )
  }
  const output: unknown = result.value
  if (typeof output !== 'object' || output === null || Array.isArray(output)) {
    throw new SessionError('ERR_SESSION_SCHEMA', 'options.schema must make an object of session data')
  }
  return output as Snapshot
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

function pathOf({ path }: SchemaIssue): string {
  const steps = (path ?? []).map((step) => (typeof step === 'object' ? step.key : step))
  return ['data', ...steps].map(String).join('.')
}
