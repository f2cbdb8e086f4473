// What the compiler takes for a SessionStore: stores as people write them, and the answers as their callers see them.
import type { Replaced, SessionRecord, SessionStore } from 'koa-fastsession'

const rest = {
  create: () => true,
  read: () => undefined,
  touch: () => false,
  delete: () => false,
}

// A class whose method answers at once, or with a promise, and has no annotation.
export class Waits implements SessionStore {
  create = rest.create
  read = rest.read
  touch = rest.touch
  delete = rest.delete
  async replace() {
    await Promise.resolve()
    return 'done'
  }
}
export class Chooses implements SessionStore {
  create = rest.create
  read = rest.read
  touch = rest.touch
  delete = rest.delete
  replace(record: SessionRecord, version: number) {
    return record.version === version + 1 ? 'done' : 'stale'
  }
}
export class Says implements SessionStore {
  create = rest.create
  read = rest.read
  touch = rest.touch
  delete = rest.delete
  replace(): Promise<Replaced> {
    return Promise.resolve('gone')
  }
}
export const literal: SessionStore = { ...rest, replace: () => Promise.resolve('gone') }
// @ts-expect-error -- no such answer
export const misspelt: SessionStore = { ...rest, replace: () => 'lost' }
// @ts-expect-error -- an answer is a text
export const wrong: SessionStore = { ...rest, replace: () => Promise.resolve(true) }

// A store around another one.
declare const inner: SessionStore
export class Around implements SessionStore {
  create(record: SessionRecord, now: number): boolean | Promise<boolean> {
    return inner.create(record, now)
  }
  read(key: string, now: number): ReturnType<SessionStore['read']> {
    return inner.read(key, now)
  }
  replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    return inner.replace(record, version, now)
  }
  async touch(...call: Parameters<SessionStore['touch']>): Promise<boolean> {
    return inner.touch(...call)
  }
  delete = (key: string) => inner.delete(key)
}
export const answer = async (record: SessionRecord): Promise<Replaced> => {
  const replaced = await inner.replace(record, 1, 0)
  // @ts-expect-error -- not one of the three
  if (replaced === 'lost') return 'gone'
  return replaced
}

// `undefined` where it is as good as nothing.
export const untold: SessionStore = { ...literal, limits: undefined }
