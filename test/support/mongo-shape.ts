// A store for express-session in the shape of connect-mongo: asynchronous, JSON beside an instant.
import type { ExpressSession, ExpressStore } from '../../src/adapters/index.ts'

export type Callback = (error?: unknown, value?: unknown) => void

/** As connect-mongo keeps them: JSON beside an instant, and a touch that fails where there is nothing. */
export class MongoShape implements ExpressStore {
  readonly documents = new Map<string, { expires: Date; session: string }>()
  lastTtl = 0

  get(sid: string, callback: Callback): void {
    const found = this.documents.get(sid)
    setImmediate(
      callback,
      null,
      found !== undefined && found.expires > new Date() ? JSON.parse(found.session) : undefined,
    )
  }

  set(sid: string, given: ExpressSession, callback: Callback): void {
    const { expires } = given.cookie
    this.lastTtl = expires.valueOf() - Date.now()
    this.documents.set(sid, { expires, session: JSON.stringify(given) })
    setImmediate(callback, null)
  }

  destroy(sid: string, callback: Callback): void {
    this.documents.delete(sid)
    setImmediate(callback, null)
  }
}
