// Listeners of one event.

export class Listeners<Event> {
  readonly #all = new Set<{ readonly listener: (event: Event) => void }>()

  get size(): number {
    return this.#all.size
  }

  /** Adds a listener; a function that is added twice is called twice. The returned function removes this one entry. */
  add(listener: (event: Event) => void): () => void {
    const entry = { listener }
    this.#all.add(entry)
    return () => void this.#all.delete(entry)
  }

  clear(): void {
    this.#all.clear()
  }

  announce(event: Event): void {
    for (const { listener } of this.#all) {
      try {
        listener(event)
      } catch {
        // The event has happened already: a failing listener must break neither the announcing code nor other listeners.
      }
    }
  }
}
