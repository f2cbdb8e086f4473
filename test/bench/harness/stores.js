// In-memory stores for peers that ship none, with a time to live.
// 'json' isolates requests from one another as any remote store does (the
// session is text at rest); 'ref' keeps live references, which is cheaper and
// lets two requests see one another's uncommitted changes.
import { EventEmitter } from 'node:events'

export class JsonMapStore extends EventEmitter {
  #map = new Map()
  async get(id) {
    const entry = this.#map.get(id)
    if (entry === undefined) return undefined
    if (entry.expires <= Date.now()) {
      this.#map.delete(id)
      return undefined
    }
    return JSON.parse(entry.text)
  }

  async set(id, data, ttl) {
    this.#map.set(id, { text: JSON.stringify(data), expires: Date.now() + (Number(ttl) || 86400000) })
  }

  async destroy(id) {
    this.#map.delete(id)
  }
}

export class RefMapStore extends EventEmitter {
  #map = new Map()
  async get(id) {
    const entry = this.#map.get(id)
    if (entry === undefined) return undefined
    if (entry.expires <= Date.now()) {
      this.#map.delete(id)
      return undefined
    }
    return entry.data
  }

  async set(id, data, ttl) {
    this.#map.set(id, { data, expires: Date.now() + (Number(ttl) || 86400000) })
  }

  async destroy(id) {
    this.#map.delete(id)
  }
}
