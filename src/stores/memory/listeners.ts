// Functions that want to hear of something.

export class Listeners<Event> {
  readonly #all = new Set<{ readonly listener: (event: Event) => void }>()

  /** Adds a listener, one more time if it is there already; the function that is returned removes it. */
  add(listener: (event: Event) => void): () => void {
    const entry = { listener }
    this.#all.add(entry)
    return () => void this.#all.delete(entry)
  }

  announce(event: Event): void {
    for (const { listener } of this.#all) {
      try {
        listener(event)
      } catch {
        // What was announced has happened: the caller of the verb cannot do anything about a listener's fault.
      }
    }
  }
}
