/**
 * The tail of the log (and a snapshot before it) that is not known to be durable yet. It first holds entries until a
 * `ready()` hands them out, and then keeps them until the caller says that they are on disk, so that reads of the log
 * never depend on a write that is under way.
 *
 * U1. The entry at `offset + i` is the i-th one; `offset` may be below the end of the stored log, whose rest is then to be
 *     overwritten.
 * U2. Entries below `offsetInProgress` (≥ offset) are being written.
 */
import { invariant } from '../base/invariant.ts'
import type { RaftLogger } from './config.ts'
import { EntryWindow } from './entry-window.ts'
import type { Entry, Snapshot } from './types.ts'
import { NO_ENTRIES } from './types.ts'

/** Not yet durable entries and snapshot. */
export class Unstable {
  private readonly window: EntryWindow
  private readonly logger: RaftLogger
  private inProgress: number
  private pending: Snapshot | undefined
  private snapshotInProgress = false

  constructor(offset: number, logger: RaftLogger) {
    this.window = new EntryWindow(offset)
    this.inProgress = offset
    this.logger = logger
  }

  get offset(): number {
    return this.window.firstIndex
  }

  get offsetInProgress(): number {
    return this.inProgress
  }

  /** Entries held, in progress or not. */
  get length(): number {
    return this.window.length
  }

  /** The snapshot held, in progress or not. */
  get snapshot(): Snapshot | undefined {
    return this.pending
  }

  /** The first index of the log, if a snapshot here decides it. */
  firstIndex(): number | undefined {
    return this.pending === undefined ? undefined : this.pending.index + 1
  }

  /** The last index of the log, if entries or a snapshot here decide it. */
  lastIndex(): number | undefined {
    return this.window.length > 0 ? this.window.nextIndex - 1 : this.pending?.index
  }

  /** The term at `index`, if it is held here. */
  term(index: number): number | undefined {
    if (index >= this.window.firstIndex) {
      return index < this.window.nextIndex ? this.window.at(index).term : undefined
    }
    return this.pending?.index === index ? this.pending.term : undefined
  }

  get hasNextEntries(): boolean {
    return this.inProgress < this.window.nextIndex
  }

  /** The entries that are not being written yet. */
  nextEntries(): readonly Entry[] {
    return this.hasNextEntries ? this.window.slice(this.inProgress, this.window.nextIndex) : NO_ENTRIES
  }

  /** The snapshot, if it is not being written yet. */
  nextSnapshot(): Snapshot | undefined {
    return this.snapshotInProgress ? undefined : this.pending
  }

  /** Marks everything held as being written. */
  acceptInProgress(): void {
    if (this.window.length > 0) this.inProgress = this.window.nextIndex
    if (this.pending !== undefined) this.snapshotInProgress = true
  }

  /**
   * Takes note that the log up to (index, term) is durable, and lets go of it. The caller vouches that no write under way
   * can overwrite it; an entry that was replaced meanwhile is recognised by its term and kept.
   */
  stableTo(index: number, term: number): void {
    const held = this.term(index)
    if (held === undefined) {
      this.logger.info(() => `entry at index ${index} missing from unstable log; ignoring`)
      return
    }
    if (index < this.offset) {
      this.logger.info(() => `entry at index ${index} matched unstable snapshot; ignoring`)
      return
    }
    if (held !== term) {
      this.logger.info(
        () =>
          `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${held}) in unstable log; ignoring`
      )
      return
    }
    this.window.dropBefore(index + 1)
    this.inProgress = Math.max(this.inProgress, this.offset)
  }

  /** Takes note that the snapshot at `index` is installed. */
  stableSnapTo(index: number): void {
    if (this.pending?.index !== index) return
    this.pending = undefined
    this.snapshotInProgress = false
  }

  /** Replaces everything by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.window.reset(snapshot.index + 1)
    this.inProgress = this.offset
    this.pending = snapshot
    this.snapshotInProgress = false
  }

  /** Appends entries (at least one, from position `from` on), cutting off what they replace. */
  truncateAndAppend(entries: readonly Entry[], from = 0): void {
    const fromIndex = entries[from]?.index
    invariant(fromIndex !== undefined, 'an append needs an entry')
    if (fromIndex === this.window.nextIndex) {
      // The common case: the log grows.
    } else if (fromIndex <= this.offset) {
      this.logger.info(() => `replace the unstable entries from index ${fromIndex}`)
      this.window.reset(fromIndex)
      this.inProgress = fromIndex
    } else {
      this.logger.info(() => `truncate the unstable entries before index ${fromIndex}`)
      this.window.truncateFrom(fromIndex)
      this.inProgress = Math.min(this.inProgress, fromIndex)
    }
    this.window.append(entries, from)
  }

  /** The entries in [lo, hi), all of which must be held here. */
  slice(lo: number, hi: number): readonly Entry[] {
    return this.window.slice(lo, hi)
  }
}
