/**
 * The log and state that are already durable, as the core reads them. The core never writes: its caller does, in the
 * order that `Ready` or `MsgStorageAppend` asks for.
 */
import type { ConfState, Entry, HardState, Snapshot } from './types.ts'

/** Why a part of the log cannot be read: it lies before the first index, or after the last. */
export type LogGap = 'compacted' | 'unavailable'

/** Reads of the durable log. Every method is synchronous, answers from memory and is cheap. */
export interface Storage {
  /** What was persisted last; called once, at creation. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState }
  /**
   * The entries in [lo, hi), cut so that their `entrySize` stays within `maxBytes` but never empty when lo < hi.
   * `compacted` when lo < firstIndex; hi must not exceed lastIndex + 1.
   */
  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] | LogGap
  /** The term of an entry in [firstIndex − 1, lastIndex]; that of firstIndex − 1 is kept for matching. */
  term(index: number): number | LogGap
  /** Index of the last entry, or of the snapshot when there is none after it. */
  lastIndex(): number
  /** Index of the first entry still in the log; the snapshot's index + 1. */
  firstIndex(): number
  /**
   * The most recent snapshot, or `temporarily-unavailable` while one is being made; it is asked for again later. A peer
   * that is not a member in the snapshot ignores it, so one that was added lately needs a snapshot of after its addition.
   */
  snapshot(): Snapshot | 'temporarily-unavailable'
}
