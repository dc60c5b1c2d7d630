import type { Entry, HardState, SnapshotMetadata } from '../types.ts'

/** Where the retained log begins: entries follow `index`; `confState` is the membership as of `index`. */
export type LogBase = SnapshotMetadata

/** Whose log it is. A folder of another cluster or node is refused. */
export interface WalIdentity {
  /** 32 lower-case hexadecimal digits. */
  readonly clusterId: string
  /** The Raft number, ≥ 1. */
  readonly nodeId: number
}

/** One group of changes that becomes durable as a whole, in the order: reset, entries, hard state. */
export interface WalAppend {
  /** A snapshot was installed: all entries go, and the log starts anew above this base. */
  readonly reset?: LogBase | undefined
  /** Consecutive entries. The first may stand at or below the last one in the log: what stood from there on is replaced. */
  readonly entries: readonly Entry[]
  /** The new hard state; absent when it did not change. */
  readonly hardState?: HardState | undefined
}

/** The last thing that is known to be durable, kept outside the log so that a log that lost its end is noticed. */
export interface TailMark {
  readonly segmentSequence: number
  /** 0 before the first batch. */
  readonly batchSequence: number
  /** CRC32C of the batch's header sector, which covers the whole batch and its predecessors. */
  readonly batchDigest: number
  readonly lastIndex: number
  readonly lastTerm: number
}

/** What the folder held when it was opened. */
export interface RecoveredLog {
  readonly hardState: HardState
  /** The highest incarnation that was recorded; 0 when none was. */
  readonly incarnation: number
  readonly base: LogBase
  /** Consecutive, the first at `base.index + 1`. Their bytes are views on memory that nothing else changes. */
  readonly entries: readonly Entry[]
  /** True when nothing was ever appended: at a node's birth. */
  readonly isNew: boolean
  /** What was put right on the way, for the operator's log: a torn tail cut, a copy of the hard state renewed. */
  readonly repairs: readonly string[]
}
