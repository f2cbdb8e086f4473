// Functions that want to hear of something.

export class Listeners<Event> {
  readonly #all = new Set<{ readonly listener: (event: Event) => void }>()

  get size(): number {
    return this.#all.size
  }

  /** Adds a listener, one more time if it is there already; the function that is returned removes it. */
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
        // What was announced has happened: a listener's fault must break neither who announces it nor the others.
      }
    }
  }
}
