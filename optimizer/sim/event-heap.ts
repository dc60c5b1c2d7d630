/** A binary heap of events by time, first in first out among equals. Times live in typed arrays: this is the inner loop. */
export class EventHeap<T> {
  #times = new Float64Array(64)
  #sequences = new Float64Array(64)
  readonly #items: T[] = []
  #sequence = 0

  get size(): number {
    return this.#items.length
  }

  /** The earliest time; Infinity when empty. */
  get nextTime(): number {
    return this.#items.length === 0 ? Infinity : (this.#times[0] ?? Infinity)
  }

  push(time: number, item: T): void {
    const size = this.#items.length
    if (size === this.#times.length) this.#grow()
    this.#items.push(item)
    this.#siftUp(size, time, this.#sequence++, item)
  }

  /** Removes and returns the earliest event; undefined when empty. */
  pop(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    const size = items.length
    if (last === undefined || size === 0) return first
    this.#siftDown(this.#times[size] ?? 0, this.#sequences[size] ?? 0, last)
    return first
  }

  /** Drops all events but those that `isKept` lets stay, which keep their order. */
  retain(isKept: (item: T) => boolean): void {
    const kept: { readonly time: number; readonly item: T }[] = []
    for (let { nextTime: time } = this; this.size > 0; time = this.nextTime) {
      const item = this.pop() as T
      if (isKept(item)) kept.push({ time, item })
    }
    for (const { time, item } of kept) this.push(time, item)
  }

  #siftUp(from: number, time: number, sequence: number, item: T): void {
    const times = this.#times
    const sequences = this.#sequences
    const items = this.#items
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      // Equal times keep their order: a later event never rises above an earlier one.
      if ((times[parent] ?? 0) <= time) break
      times[index] = times[parent] ?? 0
      sequences[index] = sequences[parent] ?? 0
      items[index] = items[parent] as T
      index = parent
    }
    times[index] = time
    sequences[index] = sequence
    items[index] = item
  }

  #siftDown(time: number, sequence: number, item: T): void {
    const times = this.#times
    const sequences = this.#sequences
    const items = this.#items
    const size = items.length
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= size) break
      if (child + 1 < size && this.#before(child + 1, times[child] ?? 0, sequences[child] ?? 0)) child++
      if (!this.#before(child, time, sequence)) break
      times[index] = times[child] ?? 0
      sequences[index] = sequences[child] ?? 0
      items[index] = items[child] as T
      index = child
    }
    times[index] = time
    sequences[index] = sequence
    items[index] = item
  }

  #before(index: number, time: number, sequence: number): boolean {
    const own = this.#times[index] ?? 0
    return own < time || (own === time && (this.#sequences[index] ?? 0) < sequence)
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2)
    const sequences = new Float64Array(this.#sequences.length * 2)
    times.set(this.#times)
    sequences.set(this.#sequences)
    this.#times = times
    this.#sequences = sequences
  }
}
