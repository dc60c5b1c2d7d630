/** Which segments still hold entries that the log needs, kept in step with what is durable. */
interface LedgerSegment {
  readonly sequence: number
  /** The highest index of an entry that stands in it and was not replaced since; 0 when there is none. */
  lastIndex: number
}

/** Counts live entries by segment. Writes are noted once they are durable, never before. */
export class SegmentLedger {
  readonly #segments: LedgerSegment[] = []

  /** Starts the next segment; what is noted from now on stands in it. */
  addSegment(sequence: number): void {
    this.#segments.push({ sequence, lastIndex: 0 })
  }

  /** Notes an entry. One at or below the last index replaces what stood from there on. */
  noteEntry(index: number): void {
    for (const segment of this.#segments) segment.lastIndex = Math.min(segment.lastIndex, index - 1)
    const current = this.#segments.at(-1)
    if (current !== undefined) current.lastIndex = index
  }

  /** Notes that all entries were dropped. */
  noteReset(): void {
    for (const segment of this.#segments) segment.lastIndex = 0
  }

  /**
   * Takes out and returns, oldest first, the segments that hold nothing above `baseIndex`. The current one stays: its
   * batches carry the base and the hard state.
   */
  takeRemovable(baseIndex: number): readonly number[] {
    const removable: number[] = []
    while (this.#segments.length > 1) {
      const oldest = this.#segments[0]
      if (oldest === undefined || oldest.lastIndex > baseIndex) break
      removable.push(oldest.sequence)
      this.#segments.shift()
    }
    return removable
  }

  get size(): number {
    return this.#segments.length
  }
}
