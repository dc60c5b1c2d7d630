/**
 * Keeps the log short: drops what the materialised state has made durable, but not what a follower still needs.
 *
 * C1. Never above `durable`, the last position written with sync.
 * C2. A follower that is being fed keeps its entries, and one that receives a snapshot those above it, until the log is
 *     four times too long; then it gets a snapshot.
 * C3. Half of a log that is too long stays, so that a follower that was away for a moment is caught up by appends.
 */
import type { ConfState, MemoryStorage, RaftStatus } from '../../consensus/index.ts'
import type { Logger } from '../ports/log.ts'
import type { Wal } from '../wal/wal.ts'
import type { AppliedPosition } from './materializer.ts'

export interface CompactorInput {
  readonly wal: Wal
  readonly log: MemoryStorage
  readonly compactBytes: number
  readonly durable: () => AppliedPosition
  readonly raft: () => RaftStatus
  readonly logger: Logger
  readonly onFailure: (error: unknown) => void
}

export class Compactor {
  readonly #input: CompactorInput
  #busy = false
  /** Memberships by the index from which they held, oldest first. */
  #memberships: { readonly index: number; readonly confState: ConfState }[]

  constructor(input: CompactorInput, position: AppliedPosition) {
    this.#input = input
    this.#memberships = [{ index: position.index, confState: position.confState }]
  }

  /** The membership changed with the entry at `index`, or a snapshot brought one. */
  membership(index: number, confState: ConfState): void {
    this.#memberships.push({ index, confState })
  }

  /** To be called after each flush. */
  poll(): void {
    const { log, compactBytes } = this.#input
    if (this.#busy || log.sizeBytes <= compactBytes) return
    const index = this.#target()
    if (index < log.firstIndex()) return
    const term = log.term(index)
    if (typeof term !== 'number') return
    this.#busy = true
    const base = { index, term, confState: this.#confStateAt(index) }
    this.#input.wal
      .compact(base)
      .then(
        () => {
          log.compact(index)
          this.#input.logger.debug({ index }, 'log compacted')
        },
        (error: unknown) => {
          this.#input.onFailure(error)
        }
      )
      .finally(() => {
        this.#busy = false
      })
  }

  #target(): number {
    const { log, compactBytes } = this.#input
    const middle = log.firstIndex() + Math.floor((log.lastIndex() - log.firstIndex()) / 2)
    let target = Math.min(this.#input.durable().index, middle)
    if (log.sizeBytes > 4 * compactBytes) return target
    for (const progress of this.#input.raft().progress) {
      // One that receives a snapshot goes on from there: without those entries it would need the next one at once.
      const needsAfter = progress.state === 'snapshot' ? progress.pendingSnapshot : progress.match
      if (progress.recentActive) target = Math.min(target, needsAfter)
    }
    return target
  }

  #confStateAt(index: number): ConfState {
    while (this.#memberships.length > 1 && (this.#memberships[1]?.index ?? Infinity) <= index) {
      this.#memberships.shift()
    }
    const first = this.#memberships[0]
    return first?.confState ?? this.#input.durable().confState
  }
}
