// From the Cookie header to the session: which cookie counts, whose record it names, and what is to be said of the
// others. What cannot be resumed is a fresh session; the client's id is never adopted.
import { view } from './commit.ts'
import { presented } from '../cookie/cookie.ts'
import type { RejectReason } from '../events.ts'
import { CORRUPT } from '../checked-store.ts'
import { isPromise, type Maybe } from './steps.ts'
import type { SessionRecord } from '../store.ts'
import { isTombstone, isUnderWay } from '../record/tombstone.ts'
import { Verifier, type Signed } from '../cookie/signature-cache.ts'
import { Visit, type Exchange, type Services } from './request-session.ts'

export class Loader {
  readonly #services: Services
  readonly #verifier = new Verifier()

  constructor(services: Services) {
    this.#services = services
  }

  /** The session that the request's cookie names, or a fresh one. */
  load(exchange: Exchange): Maybe<Visit> {
    const services = this.#services
    const now = this.#services.settings.now()
    const header = exchange.request.headers.cookie
    if (header === undefined) return new Visit(services, exchange, now, 'new')
    const { cookie, keyring } = exchange
    const { values, malformed } = presented(header, cookie, keyring.length)
    if (malformed) this.reject('malformed')
    if (values.length === 0) return new Visit(services, exchange, now, malformed ? 'invalid' : 'new')
    this.#services.store.assertOpen()
    const [only] = values
    // Nearly every request: one cookie, and nothing to choose from.
    if (only !== undefined && values.length === 1) {
      const signed = this.#verified(exchange, only)
      return signed === undefined
        ? new Visit(services, exchange, now, 'invalid')
        : this.#resume(new Visit(services, exchange, now, 'expired'), signed)
    }
    const ids: Signed[] = []
    for (const value of values) {
      const signed = this.#verified(exchange, value)
      if (signed !== undefined && !ids.some(({ id }) => id === signed.id)) ids.push(signed)
    }
    return this.#resumeFirst(new Visit(services, exchange, now, ids.length === 0 ? 'invalid' : 'expired'), ids)
  }

  #verified({ cookie, keyring }: Exchange, value: string): Signed | undefined {
    const signed = this.#verifier.verify(cookie, keyring, value)
    if (signed === undefined) this.reject('signature')
    return signed
  }

  /** Of several sessions the first that lives, in the order of the header. */
  async #resumeFirst(visit: Visit, ids: readonly Signed[]): Promise<Visit> {
    for (const [at, signed] of ids.entries()) {
      await this.#resume(visit, signed)
      // Only what can be read lives: a corrupt one must not hide the next.
      if (visit.record !== undefined) visit.open()
      if (visit.record === undefined) continue
      for (const { publicId } of ids.slice(at + 1)) this.reject('duplicate', publicId)
      // Another one of them may have been replaced a moment ago: this one was not.
      visit.isLate = false
      break
    }
    return visit
  }

  #resume(visit: Visit, signed: Signed): Maybe<Visit> {
    const found = this.#services.store.read(signed.publicId, visit.now)
    return isPromise(found)
      ? found.then((record) => this.#take(visit, signed, record))
      : this.#take(visit, signed, found)
  }

  #take(visit: Visit, { id, publicId, isOldKey }: Signed, record: SessionRecord | undefined): Maybe<Visit> {
    const { events, payload, settings } = this.#services
    if (record === undefined || isTombstone(record)) {
      if (record !== undefined && isUnderWay(record, visit.now)) visit.isLate = true
      this.reject(record === CORRUPT ? 'corrupt' : 'ended', publicId)
      return visit
    }
    if (payload.isLocked(record)) throw payload.locked()
    try {
      visit.resume(id, record)
    } catch {
      // Its notes are not what was written; there is nothing else that can fail here.
      this.reject('corrupt', record.key)
      return visit
    }
    visit.isRenewing = isOldKey
    if (settings.schema !== undefined) return this.#parse(visit, record)
    if (events.heard('resume')) events.emit('resume', { publicId: record.key })
    return visit
  }

  /** With a schema data is parsed before the handlers run: it may take its time, and refuse. */
  async #parse(visit: Visit, record: SessionRecord): Promise<Visit> {
    visit.open()
    if (visit.record === undefined) return visit
    visit.know(record, await view(this.#services, visit, record))
    if (this.#services.events.heard('resume')) this.#services.events.emit('resume', { publicId: record.key })
    return visit
  }

  /** Tells that a cookie did not lead to its session. */
  reject(reason: RejectReason, publicId?: string): void {
    const { events } = this.#services
    if (events.heard('reject')) events.emit('reject', { publicId, reason })
  }
}
