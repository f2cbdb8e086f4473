// Reads the keys of a portion: with one command if they are on one server, else one by one.
import { textOf, textsOf, unexpected, type Connection } from './client.ts'
import { HEAD_LENGTH, HEADS, runScript } from './scripts.ts'

/** How many commands of one call may be under way at once. */
const WIDTH = 50

export class PortionReader {
  readonly #connection: Connection
  readonly #prefix: string
  // Whether one command may read several keys: not in a Cluster, not with every proxy or ACL.
  #readsTogether: boolean

  constructor(connection: Connection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
    this.#readsTogether = connection.sendToAll === undefined
  }

  /** The value of each key; `undefined` if it is missing or no string. */
  values(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    return this.#readAll(
      keys,
      (names) => this.#connection.ask(['MGET', ...names], names[0] ?? '', listOf, unlessApart),
      (name) => this.#connection.ask(['GET', name], name, textOf, unlessWrongType),
    )
  }

  /** The lines up to the owner of each key's value. Payloads are not sent, except their start where keys are read one by one. */
  heads(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    return this.#readAll(
      keys,
      (names) => runScript(this.#connection, HEADS, names, [], textsOf).catch(unlessApart),
      (name) => this.#connection.ask(['GETRANGE', name, '0', `${HEAD_LENGTH - 1}`], name, textOf, unlessWrongType),
    )
  }

  /** Reads all keys with one command, or each with its own, a few at once, if `together` gave `undefined`: it is not allowed. */
  async #readAll<T>(
    keys: readonly string[],
    together: (names: string[]) => Promise<readonly T[] | undefined>,
    alone: (name: string) => Promise<T>,
  ): Promise<readonly T[]> {
    const names = keys.map((key) => this.#prefix + key)
    if (this.#readsTogether && names.length > 1) {
      const answers = await together(names)
      if (answers !== undefined) return answers
      this.#readsTogether = false
    }
    const all: T[] = []
    for (let at = 0; at < names.length; at += WIDTH)
      all.push(...(await Promise.all(names.slice(at, at + WIDTH).map(alone))))
    return all
  }
}

export function isWrongType(error: unknown): boolean {
  return error instanceof Error && /wrong ?type/i.test(error.message)
}

function unlessWrongType(error: unknown): undefined {
  if (!isWrongType(error)) throw error
}

/** Ignores an error which says that one command must not read several keys. */
function unlessApart(error: unknown): undefined {
  if (!(error instanceof Error && /CROSSSLOT|NOPERM|unknown command/i.test(error.message))) throw error
}

function listOf(answer: unknown): (string | undefined)[] {
  if (!Array.isArray(answer)) throw unexpected(answer)
  return answer.map(textOf)
}
