// Listeners of one event.

export class Listeners<Event> {
  readonly all: Set<(event: Event) => void> = new Set<(event: Event) => void>()

  /** Adds a listener; a function that is added twice is called twice. The returned function removes this one entry. */
  add(listener: (event: Event) => void): () => void {
    const entry = (event: Event): void => listener(event)
    this.all.add(entry)
    return () => void this.all.delete(entry)
  }

  announce(event: Event): void {
    for (const listener of this.all) {
      try {
        listener(event)
      } catch {
        // The event has happened already: a failing listener must break neither the announcing code nor other listeners.
      }
    }
  }
}
