/**
 * A run of log entries with consecutive indexes that grows at its end and is dropped from its front. Both ends cost
 * amortised constant time an entry: the dropped front is only cut off when it outgrows the rest.
 *
 * Invariant: the entry at `firstIndex + i` is the i-th one.
 */
import { invariant } from '../base/invariant.ts'
import type { Entry } from './types.ts'
import { NO_BYTES } from './types.ts'

/** Stands where an entry was dropped, so that its bytes are not kept. */
const DROPPED: Entry = { term: 0, index: 0, type: 'normal', data: NO_BYTES }
const COMPACT_AT = 64

/** A window on the log. */
export class EntryWindow {
  private items: Entry[] = []
  private head = 0
  private first: number

  constructor(firstIndex: number) {
    this.first = firstIndex
  }

  /** Index of the first entry, or of the one to come when there is none. */
  get firstIndex(): number {
    return this.first
  }

  /** Index after the last entry. */
  get nextIndex(): number {
    return this.first + this.items.length - this.head
  }

  get length(): number {
    return this.items.length - this.head
  }

  /** The entry at an index within the window. */
  at(index: number): Entry {
    const entry = this.items[this.head + index - this.first]
    invariant(entry !== undefined && index >= this.first, () => `no entry at ${index} in ${this.range()}`)
    return entry
  }

  /** Appends entries from position `from` on; the first of them must follow the last one here. */
  append(entries: readonly Entry[], from = 0): void {
    for (let i = from; i < entries.length; i++) {
      const entry = entries[i]
      invariant(
        entry?.index === this.nextIndex,
        () => `entry ${entry?.index ?? -1} cannot follow ${this.range()}`
      )
      this.items.push(entry)
    }
  }

  /** The entries in [lo, hi), which must lie within the window. */
  slice(lo: number, hi: number): Entry[] {
    invariant(
      lo >= this.first && lo <= hi && hi <= this.nextIndex,
      () => `[${lo}, ${hi}) is out of ${this.range()}`
    )
    return this.items.slice(this.head + lo - this.first, this.head + hi - this.first)
  }

  /** Removes the entries at and above `index`. */
  truncateFrom(index: number): void {
    invariant(index >= this.first, () => `cannot truncate at ${index} in ${this.range()}`)
    const keep = this.head + index - this.first
    if (keep < this.items.length) this.items.length = keep
  }

  /** Removes the entries below `index`, which may be at most `nextIndex`. */
  dropBefore(index: number): void {
    const count = index - this.first
    invariant(count >= 0 && count <= this.length, () => `cannot drop before ${index} in ${this.range()}`)
    this.items.fill(DROPPED, this.head, this.head + count)
    this.head += count
    this.first = index
    if (this.head >= COMPACT_AT && this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
  }

  /** Forgets everything and continues at `firstIndex`. */
  reset(firstIndex: number): void {
    this.items = []
    this.head = 0
    this.first = firstIndex
  }

  private range(): string {
    return `[${this.first}, ${this.nextIndex})`
  }
}
