/** Events out: `Events` maps a name to what its listeners are given. */
export class Emitter<Events extends Record<keyof Events, unknown>> {
  readonly #listeners = new Map<keyof Events, Set<(e: never) => void>>();

  /** Calls `listener` at every `name` until the returned function is called. */
  on<K extends keyof Events>(name: K, listener: (e: Events[K]) => void): () => void {
    let set = this.#listeners.get(name);
    if (set === undefined) {
      set = new Set();
      this.#listeners.set(name, set);
    }
    set.add(listener);
    return () => {
      set.delete(listener);
    };
  }

  /** Tells everybody who listens, in the order they came. */
  protected emit<K extends keyof Events>(name: K, e: Events[K]): void {
    for (const l of [...(this.#listeners.get(name) ?? [])]) (l as (e: Events[K]) => void)(e);
  }
}
