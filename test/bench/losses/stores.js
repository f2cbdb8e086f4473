// Stores of the shapes that the libraries ask for. They keep text, as every database does, so nobody shares live objects.

/** For koa-session, koa-generic-session and koa-session-minimal: get, set and destroy, answered with a promise. */
export class PromiseStore {
  #records = new Map()

  async get(id) {
    const text = this.#records.get(id)
    return text === undefined ? undefined : JSON.parse(text)
  }

  async set(id, session) {
    this.#records.set(id, JSON.stringify(session))
  }

  async destroy(id) {
    this.#records.delete(id)
  }
}

/** For @fastify/session: the same with callbacks. */
export class CallbackStore {
  #records = new Map()

  get(id, callback) {
    const text = this.#records.get(id)
    callback(null, text === undefined ? undefined : JSON.parse(text))
  }

  set(id, session, callback) {
    this.#records.set(id, JSON.stringify(session))
    callback(null)
  }

  destroy(id, callback) {
    this.#records.delete(id)
    callback(null)
  }
}

/** The promise shape behind a probe; the store itself may answer at once. */
export function probedPromises(store, probe) {
  return {
    get: (id) => probe.ask('read', () => store.get(id)),
    set: (id, session, maxAge) => probe.ask('write', () => store.set(id, session, maxAge), [id, session]),
    destroy: (id) => probe.ask('delete', () => store.destroy(id)),
  }
}
