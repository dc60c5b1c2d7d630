/**
 * One log made of the durable part and the unstable tail, with its commit and apply positions. It knows nothing of
 * roles, peers or messages.
 *
 * L1. applied ≤ applying ≤ committed ≤ lastIndex.
 * L2. Committed entries never change; an attempt to replace one stops the program.
 */
import { InvariantError, invariant } from '../base/invariant.ts'
import type { RaftLogger } from './config.ts'
import { limitSize } from './entry-size.ts'
import type { LogGap, Storage } from './storage.ts'
import type { Entry, EntryType, Snapshot } from './types.ts'
import { NO_ENTRIES } from './types.ts'
import { Unstable } from './unstable.ts'

/** The log of one peer. */
export class RaftLog {
  readonly unstable: Unstable
  private readonly storage: Storage
  private readonly logger: RaftLogger
  private committedIndex: number
  private applyingIndex: number
  private appliedIndex: number
  /** Bound on entries handed out for applying and not yet acknowledged. */
  private readonly maxApplyingBytes: number
  private applyingBytes = 0
  private applyingPaused = false

  constructor(storage: Storage, maxApplyingBytes: number, logger: RaftLogger) {
    this.storage = storage
    this.logger = logger
    this.maxApplyingBytes = maxApplyingBytes
    this.unstable = new Unstable(storage.lastIndex() + 1, logger)
    const compacted = storage.firstIndex() - 1
    this.committedIndex = compacted
    this.applyingIndex = compacted
    this.appliedIndex = compacted
  }

  get committed(): number {
    return this.committedIndex
  }

  get applying(): number {
    return this.applyingIndex
  }

  get applied(): number {
    return this.appliedIndex
  }

  get firstIndex(): number {
    return this.unstable.firstIndex() ?? this.storage.firstIndex()
  }

  get lastIndex(): number {
    return this.unstable.lastIndex() ?? this.storage.lastIndex()
  }

  get lastTerm(): number {
    const term = this.term(this.lastIndex)
    invariant(typeof term === 'number', () => `the last entry's term is ${term}`)
    return term
  }

  /** The term at `index`; that of the position before the first entry is known too. */
  term(index: number): number | LogGap {
    const unstable = this.unstable.term(index)
    if (unstable !== undefined) return unstable
    if (index + 1 < this.firstIndex) return 'compacted'
    if (index > this.lastIndex) return 'unavailable'
    return this.storage.term(index)
  }

  /** The term at `index`, or 0 where the log has none. */
  termOrZero(index: number): number {
    const term = this.term(index)
    return typeof term === 'number' ? term : 0
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term
  }

  /** Whether a log that ends at (index, term) is at least as complete as this one. Raft paper §5.4.1. */
  isUpToDate(index: number, term: number): boolean {
    const lastTerm = this.lastTerm
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex)
  }

  /**
   * Appends a leader's entries after (prevIndex, prevTerm) if the logs agree there, and advances the commit index as far
   * as they reach. Returns the index of the last of them, or undefined when the logs disagree.
   */
  maybeAppend(
    prevIndex: number,
    prevTerm: number,
    entries: readonly Entry[],
    leaderCommit: number
  ): number | undefined {
    if (!this.matchTerm(prevIndex, prevTerm)) return undefined
    const firstNew = this.findConflict(entries)
    if (firstNew !== 0) {
      invariant(
        firstNew > this.committedIndex,
        () => `entry ${firstNew} conflicts with a committed entry (committed ${this.committedIndex})`
      )
      this.append(entries, firstNew - (prevIndex + 1))
    }
    const lastNew = prevIndex + entries.length
    this.commitTo(Math.min(leaderCommit, lastNew))
    return lastNew
  }

  /** Appends entries from position `from` on, replacing what stands at their indexes. Returns the last index. */
  append(entries: readonly Entry[], from = 0): number {
    const first = entries[from]
    if (first === undefined) return this.lastIndex
    invariant(
      first.index > this.committedIndex,
      () => `append at ${first.index} would replace a committed entry (committed ${this.committedIndex})`
    )
    this.unstable.truncateAndAppend(entries, from)
    return this.lastIndex
  }

  /**
   * The highest index ≤ `index` whose term is ≤ `term` or unknown, with that term (0 if unknown): the best guess where
   * another log, of which only the entry (index, term) is known, still agrees with this one.
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at)
      if (typeof ours !== 'number') return { index: at, term: 0 }
      if (ours <= term) return { index: at, term: ours }
    }
    return { index: 0, term: 0 }
  }

  /** Commits up to `index` if it is new and from `term`: older terms are only committed indirectly. Paper §5.4.2. */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committedIndex || term === 0 || this.termOrZero(index) !== term) return false
    this.commitTo(index)
    return true
  }

  /** Raises the commit index; it never falls. */
  commitTo(index: number): void {
    if (index <= this.committedIndex) return
    invariant(
      index <= this.lastIndex,
      () => `commit ${index} is beyond the last index ${this.lastIndex}; was the log corrupted or lost?`
    )
    this.committedIndex = index
  }

  /** Sets the commit index of a restart, which the stored log must reach. */
  restoreCommit(committed: number): void {
    invariant(
      committed <= this.lastIndex,
      () => `commit ${committed} is beyond the last index ${this.lastIndex}`
    )
    this.committedIndex = committed
  }

  /** Takes note that entries up to `index`, `sizeBytes` of them newly so, are applied. */
  appliedTo(index: number, sizeBytes: number): void {
    invariant(
      index >= this.appliedIndex && index <= this.committedIndex,
      () => `applied ${index} is out of range [${this.appliedIndex}, ${this.committedIndex}]`
    )
    this.appliedIndex = index
    // Nothing is outstanding any more when a snapshot has passed what was handed out, whoever acknowledges that later.
    this.applyingBytes = index > this.applyingIndex ? 0 : Math.max(0, this.applyingBytes - sizeBytes)
    this.applyingIndex = Math.max(this.applyingIndex, index)
    this.applyingPaused = this.applyingBytes >= this.maxApplyingBytes
  }

  /** Takes note that entries up to `index` were handed out for applying. */
  acceptApplying(index: number, sizeBytes: number, allowUnstable: boolean): void {
    invariant(index <= this.committedIndex, () => `applying ${index} is beyond ${this.committedIndex}`)
    this.applyingIndex = index
    this.applyingBytes += sizeBytes
    // What was handed out was cut by the limit when it does not reach the end, even if a rest of the limit is unused.
    this.applyingPaused =
      this.applyingBytes >= this.maxApplyingBytes || index < this.maxAppliable(allowUnstable)
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.applyingPaused || this.unstable.snapshot !== undefined) return false
    return this.applyingIndex < this.maxAppliable(allowUnstable)
  }

  /** Committed entries to apply next. Without `allowUnstable` only those that are known to be on this node's disk. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return NO_ENTRIES
    return present(
      this.slice(
        this.applyingIndex + 1,
        this.maxAppliable(allowUnstable) + 1,
        this.maxApplyingBytes - this.applyingBytes
      )
    )
  }

  /** Whether a committed entry of one of these types waits to be applied. */
  hasUnapplied(types: readonly EntryType[]): boolean {
    let next = this.appliedIndex + 1
    while (next <= this.committedIndex) {
      const page = present(this.slice(next, this.committedIndex + 1, this.maxApplyingBytes))
      if (page.some((entry) => types.includes(entry.type))) return true
      next += page.length
    }
    return false
  }

  /** Entries from `index` on within `maxBytes`, at least one if there is one. */
  entries(index: number, maxBytes: number): readonly Entry[] | LogGap {
    const last = this.lastIndex
    return index > last ? NO_ENTRIES : this.slice(index, last + 1, maxBytes)
  }

  /** The entries in [lo, hi) within `maxBytes`, at least one if lo < hi. */
  slice(lo: number, hi: number, maxBytes: number): readonly Entry[] | LogGap {
    if (lo < this.firstIndex) return 'compacted'
    if (lo === hi) return NO_ENTRIES
    const offset = this.unstable.offset
    if (lo >= offset) return limitSize(this.unstable.slice(lo, hi), maxBytes)
    const storedHi = Math.min(hi, offset)
    const stored = this.storage.entries(lo, storedHi, maxBytes)
    if (typeof stored === 'string') return stored
    if (hi <= offset || stored.length < storedHi - lo) return stored
    return limitSize([...stored, ...this.unstable.slice(offset, hi)], maxBytes)
  }

  snapshot(): Snapshot | 'temporarily-unavailable' {
    return this.unstable.snapshot ?? this.storage.snapshot()
  }

  /** Replaces the log by a snapshot that is yet to be installed. */
  restore(snapshot: Snapshot): void {
    this.logger.info(
      () =>
        `log [${this.describe()}] starts to restore snapshot [index: ${snapshot.index}, term: ${snapshot.term}]`
    )
    this.committedIndex = snapshot.index
    this.unstable.restore(snapshot)
  }

  private describe(): string {
    return (
      `committed=${this.committedIndex}, applied=${this.appliedIndex}, applying=${this.applyingIndex}, ` +
      `unstable.offset=${this.unstable.offset}, unstable.offsetInProgress=${this.unstable.offsetInProgress}, ` +
      `len(unstable.Entries)=${this.unstable.length}`
    )
  }

  /** Index of the first entry that is new or differs in term, or 0 when the log has them all. */
  private findConflict(entries: readonly Entry[]): number {
    for (const entry of entries) {
      if (this.matchTerm(entry.index, entry.term)) continue
      if (entry.index <= this.lastIndex) {
        this.logger.info(
          () =>
            `found conflict at index ${entry.index} [existing term: ${this.termOrZero(entry.index)}, conflicting term: ${entry.term}]`
        )
      }
      return entry.index
    }
    return 0
  }

  private maxAppliable(allowUnstable: boolean): number {
    return allowUnstable ? this.committedIndex : Math.min(this.committedIndex, this.unstable.offset - 1)
  }
}

function present(entries: readonly Entry[] | LogGap): readonly Entry[] {
  if (typeof entries === 'string') throw new InvariantError(`entries that wait to be applied are ${entries}`)
  return entries
}
