/**
 * Keeps the log short: drops what the materialised state has made durable, but not what a follower still needs.
 *
 * C1. Never above `durable`, the last position written with sync.
 * C2. A follower that is being fed keeps its entries, and one that receives a snapshot those above it, until the log is
 *     four times too long; then it gets a snapshot. Each time that happens to it the log may become twice as long, up to
 *     `MOST_PATIENCE`, until it keeps up: under load it would be outrun again by what comes while it is being sent its snapshot.
 * C3. Half of a log that is too long stays, so that a follower that was away for a moment is caught up by appends.
 * C4. A follower is away when it was not heard of for `AWAY_MS`. That it was not heard of since Raft last counted says nothing, and
 *     while it installs a snapshot it may not answer at all; should it die meanwhile, the stream breaks, and Raft is told.
 */
import { second } from '../../base/units.ts'
import type { ConfState, MemoryStorage, RaftStatus } from '../../consensus/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/log.ts'
import type { Wal } from '../wal/wal.ts'
import type { AppliedPosition } from './materializer.ts'

/** How many times too long a log may become for a follower, at first and at most. */
const PATIENCE = 4
const MOST_PATIENCE = 16
const AWAY_MS = 10 * second

type Follower = RaftStatus['progress'][number]

export interface CompactorInput {
  readonly clock: Clock
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
  /** By follower that Raft has not heard of, since when (on the monotonic clock) each poll found it so. */
  #silentSince: ReadonlyMap<number, number> = new Map()
  /** By follower that was outrun, how many times too long the log may become for it. */
  readonly #patience = new Map<number, number>()
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
    const { progress } = this.#input.raft()
    this.#noteSilent(progress)
    if (this.#busy || log.sizeBytes <= compactBytes) return
    const index = this.#target(progress)
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

  #target(progress: readonly Follower[]): number {
    const { log, compactBytes } = this.#input
    const middle = log.firstIndex() + Math.floor((log.lastIndex() - log.firstIndex()) / 2)
    const wanted = Math.min(this.#input.durable().index, middle)
    let target = wanted
    for (const follower of progress) {
      if (this.#isAway(follower)) continue
      const { id, match, state, pendingSnapshot } = follower
      // One that receives a snapshot goes on from there: without those entries it would need the next one at once.
      const needsAfter = state === 'snapshot' ? pendingSnapshot : match
      const patience = this.#patience.get(id) ?? PATIENCE
      if (needsAfter >= wanted) {
        if (state === 'replicate') this.#patience.delete(id)
      } else if (log.sizeBytes > patience * compactBytes) {
        this.#patience.set(id, Math.min(MOST_PATIENCE, 2 * patience))
      } else target = Math.min(target, needsAfter)
    }
    return target
  }

  #noteSilent(progress: readonly Follower[]): void {
    const now = this.#input.clock.monotonicNow()
    const silent = progress.filter(({ recentActive }) => !recentActive)
    this.#silentSince = new Map(silent.map(({ id }) => [id, this.#silentSince.get(id) ?? now]))
  }

  #isAway({ id, state }: Follower): boolean {
    const since = this.#silentSince.get(id) ?? Infinity
    return state !== 'snapshot' && this.#input.clock.monotonicNow() - since >= AWAY_MS
  }

  #confStateAt(index: number): ConfState {
    while (this.#memberships.length > 1 && (this.#memberships[1]?.index ?? Infinity) <= index) {
      this.#memberships.shift()
    }
    const first = this.#memberships[0]
    return first?.confState ?? this.#input.durable().confState
  }
}
