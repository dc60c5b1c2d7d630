/**
 * Tombstones that nothing pins, in the order in which they may retire. Derived from state, never part of it.
 *
 * An entry counts while its tombstone still has the order it was queued with and no pin; others are dropped when they
 * reach the front, so that pinning costs nothing here.
 */
import type { Tombstone } from './types.ts'

export class RetireQueue {
  private items: Tombstone[] = []
  private orders: number[] = []
  private head = 0

  push(tombstone: Tombstone): void {
    this.items.push(tombstone)
    this.orders.push(tombstone.order)
  }

  /** The next to retire, or undefined. */
  peek(): Tombstone | undefined {
    for (; this.head < this.items.length; this.head++) {
      const tombstone = this.items[this.head]
      if (tombstone === undefined) continue
      if (tombstone.pins === 0 && tombstone.order === this.orders[this.head]) return tombstone
    }
    this.items = []
    this.orders = []
    this.head = 0
    return undefined
  }

  /** Removes what `peek` returned. */
  shift(): void {
    this.head++
    if (this.head < 4096 || this.head * 2 < this.items.length) return
    this.items = this.items.slice(this.head)
    this.orders = this.orders.slice(this.head)
    this.head = 0
  }
}
