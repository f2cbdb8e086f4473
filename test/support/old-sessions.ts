// What koa-session 7.0.2 leaves in cookies and stores.
import Keygrip from 'keygrip'
import { KEYS } from './app.ts'

export const DAY = 86_400_000

/** The two cookies of koa-session for a value. */
export function signed(value: string, keys: readonly string[] = KEYS, key = 'koa.sess'): string {
  return `${key}=${value}; ${key}.sig=${new Keygrip([...keys]).sign(`${key}=${value}`)}`
}

/** A session without a store: the cookie holds it. */
export function inCookie(data: object, ends: object = { _expire: Date.now() + DAY, _maxAge: DAY }): string {
  return signed(Buffer.from(JSON.stringify({ ...data, ...ends })).toString('base64'))
}

/** A store as users of koa-session write it. */
export class OldStore {
  readonly records = new Map<string, Record<string, unknown>>()
  asked = 0
  isDown = false

  constructor(...entries: [string, Record<string, unknown>][]) {
    this.records = new Map(entries)
  }

  async get(key: string): Promise<unknown> {
    this.asked++
    await Promise.resolve()
    if (this.isDown) throw new Error('ECONNREFUSED')
    const held = this.records.get(key)
    return held && { ...held }
  }

  async set(key: string, record: object): Promise<void> {
    await Promise.resolve()
    this.records.set(key, { ...record })
  }

  async destroy(key: string): Promise<void> {
    await Promise.resolve()
    this.records.delete(key)
  }
}
