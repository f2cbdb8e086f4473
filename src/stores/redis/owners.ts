// The index by owner: a sorted set of keys for each owner, under a hash of the owner's name.
//
// An entry is written before its record, with a score that the record's expiresAt does not exceed until the entry is written
// again. The end of a record removes its entry afterwards. If that was interrupted, or the record merely expired, the entry stays
// without a record. But a missing record proves nothing: a create or replace under way may have written its entry and not yet its
// record, and no clock or lock spans two slots of a Cluster. So each entry carries the minute in which it was written, by the
// clock of the server that holds the index, and a walk removes an entry without a record only at an age of ten minutes. A write
// that took longer than half of that writes the entry once more.
import { hash } from 'node:crypto'
import { isWellFormed } from '../text.ts'
import { ignore, textsOf, type Connection } from './client.ts'
import { encodeNumber } from './record.ts'
import { AHEAD, CLEAN, ENLIST, GRACE, LARGEST_STAMPED, PAGE, runScript, STAMPS } from './scripts.ts'

/** In milliseconds: how long the server keeps a record beyond its end, because clocks of processes and servers differ. */
export const SLACK = 60_000

/** In milliseconds: a slower write writes its entry once more. Half the age at which an entry without a record is removed. */
export const LATE: number = (GRACE / 2) * 60_000

const MAX_PORTION = 1000

/** An entry of the index. */
export interface Entry {
  readonly key: string
  /** The server's own text, which shows whether the entry was written again since. */
  readonly score: string
  /** Whether it may be removed, or needs a stamp, if it has no record. */
  readonly isOld: boolean
}

/** The instant up to which an entry counts, as text for the record. */
export function listedUntil(expiresAt: number, now: number): string {
  return encodeNumber(coverage(expiresAt, now))
}

/** One lifetime beyond the record's expiry, so that touches and replaces need not move the entry. */
function coverage(expiresAt: number, now: number): number {
  return expiresAt + Math.max(0, expiresAt - now)
}

/** The indexes of all owners under one prefix. */
export class OwnerIndex {
  readonly #connection: Connection
  readonly #prefix: string

  constructor(connection: Connection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  add(owner: string, key: string, expiresAt: number, now: number): Promise<unknown> {
    const args = [key, `${Math.ceil(coverage(expiresAt, now))}`, `${now - SLACK}`, `${now}`, `${SLACK}`]
    return runScript(this.#connection, ENLIST, [this.#name(owner)], args, ignore)
  }

  /** Resolves even if the removal failed: a walk removes entries that are left. */
  remove(owner: string, key: string): Promise<unknown> {
    const name = this.#name(owner)
    return this.#connection.ask(['ZREM', name, key], name, ignore, ignore)
  }

  /** A portion of the entries that count at `now`. */
  async page(
    owner: string,
    now: number,
    limit: number,
    cursor: string | undefined,
  ): Promise<{ entries: Entry[]; cursor: string | undefined }> {
    const count = Math.min(Math.max(1, Math.floor(limit)), MAX_PORTION)
    const args = [`${count}`, cursor ?? `${now}`]
    const answer = await runScript(this.#connection, PAGE, [this.#name(owner)], args, textsOf)
    const [minute = '', after = '', ...flat] = answer
    const entries: Entry[] = []
    for (let index = 0; index + 1 < flat.length; index += 2) {
      const [key = '', score = ''] = [flat[index], flat[index + 1]]
      entries.push({ key, score, isOld: isOld(Number(score), Number(minute)) })
    }
    return { entries, cursor: after === '' ? undefined : after }
  }

  /** Removes the old ones of these entries, for which no record of the owner was found. Does not wait for it. */
  clean(owner: string, entries: readonly Entry[]): void {
    const old = entries.filter((entry) => entry.isOld)
    if (old.length === 0) return
    const args = old.flatMap(({ key, score }) => [key, score])
    void runScript(this.#connection, CLEAN, [this.#name(owner)], args, ignore).catch(ignore)
  }

  #name(owner: string): string {
    // In UTF-8, texts that differ only in a lone surrogate would be equal.
    const text = isWellFormed(owner) ? owner : JSON.stringify(owner)
    return `${this.#prefix}owner:${hash('sha256', text, 'base64url').slice(0, 32)}`
  }
}

function isOld(score: number, minute: number): boolean {
  const written = (score % 1) * (STAMPS + 1)
  const age = (minute - written + STAMPS) % STAMPS
  return score < LARGEST_STAMPED && (written === 0 || (age >= GRACE && age < STAMPS - AHEAD))
}
