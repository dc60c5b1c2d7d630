/**
 * The append messages that are on their way to one follower: a ring of (last index, payload bytes), oldest first.
 *
 * Invariant: indexes rise; `count` ≤ `maxMessages`. The byte limit may be passed by the last message added, because a
 * message is let through while the window is not yet full.
 */
import { invariant } from '../../base/invariant.ts'

const INITIAL_CAPACITY = 8

/** A sliding window over messages in flight. */
export class Inflights {
  private indexes: number[] = []
  private sizes: number[] = []
  private start = 0
  private used = 0
  private bytes = 0
  private readonly maxMessages: number
  private readonly maxBytes: number

  /** Both limits may be Infinity. */
  constructor(maxMessages: number, maxBytes: number) {
    this.maxMessages = maxMessages
    this.maxBytes = maxBytes
  }

  /** Messages in flight. */
  get count(): number {
    return this.used
  }

  /** Whether nothing more may be sent until something is freed. */
  get full(): boolean {
    return this.used >= this.maxMessages || this.bytes >= this.maxBytes
  }

  /** Records a message whose last entry is `index`, which must be above all recorded ones. */
  add(index: number, sizeBytes: number): void {
    invariant(!this.full, 'cannot add into a full window of messages in flight')
    if (this.used === this.indexes.length) this.grow()
    const at = (this.start + this.used) % this.indexes.length
    this.indexes[at] = index
    this.sizes[at] = sizeBytes
    this.used++
    this.bytes += sizeBytes
  }

  /** Frees every message whose last entry is at or below `index`. */
  freeUpTo(index: number): void {
    while (this.used > 0) {
      const oldest = this.indexes[this.start]
      if (oldest === undefined || oldest > index) break
      this.bytes -= this.sizes[this.start] ?? 0
      this.start = (this.start + 1) % this.indexes.length
      this.used--
    }
  }

  /** Forgets all messages. */
  reset(): void {
    this.start = 0
    this.used = 0
    this.bytes = 0
  }

  private grow(): void {
    const capacity = Math.max(INITIAL_CAPACITY, this.indexes.length * 2)
    const indexes = new Array<number>(capacity).fill(0)
    const sizes = new Array<number>(capacity).fill(0)
    for (let i = 0; i < this.used; i++) {
      const from = (this.start + i) % this.indexes.length
      indexes[i] = this.indexes[from] ?? 0
      sizes[i] = this.sizes[from] ?? 0
    }
    this.indexes = indexes
    this.sizes = sizes
    this.start = 0
  }
}
